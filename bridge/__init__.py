"""The data path. A PUBLISH walks door → edge → pipeline → decode → stages → log → follow → sink.

edges      where deliveries come in and the bridge's messages go out: the front door, or an external broker
pipeline   the order of the stages; the only place that acknowledges
decode     bytes to events and refusals
stages     authorise, consent, journal, acknowledge, quarantine
follow     what reads the log by a cursor: canonical topics, sinks, retention
jobs       what is looked at again and again: revocation, keys, certificates, presence, limits

``service`` puts them together on any ``Edge``; ``embedded`` and ``external`` make one each, ``ground`` is what both
stand on. ``supervisor`` runs the tasks, ``ports`` and ``cursors`` are what followers and jobs know of the pipeline,
``endpoint`` answers over HTTP, and ``process`` is signals and start.
"""
