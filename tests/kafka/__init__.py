"""Lends tests a real Kafka, and a real Kafka Connect with Debezium's connectors."""
