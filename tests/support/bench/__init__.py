"""The benchmark of docs/guarantees.md: every figure beside the floor and stock amqtt, measured in the same run."""
