"""The benchmark of DESIGN §10: every figure beside the floor and stock amqtt, measured in the same run."""
