"""The data path, one file a stage, in order; ``pipeline`` alone knows the order and acknowledges.

source       where deliveries come from: the front door, or ``external`` broker
authorise    who they are from
decode       bytes to events and rejections (``inflate``, ``accept``, ``provenance``; slow and exact: ``scrutiny``,
             ``salvage``, ``explain``)
consent      what the user has agreed to
journal      durable, or not at all
acknowledge  PUBACK and receipt
quarantine   what was rejected; ``release`` takes it out again
publish      canonical events to subscribers (``external_publish``)
ship         events to sinks; ``retention`` clears away what all of them have

Around it: ``app`` and ``external_app`` (composition, start, stop), ``upkeep`` (what is looked at again and again),
``presence``, ``requests``, ``report`` and ``endpoint`` (what the service says about itself).
"""
