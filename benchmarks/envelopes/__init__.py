"""How many of Debezium's messages are decoded a second, without Kafka: one process, ten columns, each form."""
