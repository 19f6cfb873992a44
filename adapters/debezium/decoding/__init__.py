"""Turns messages of Debezium's into events: envelopes in JSON or Avro, of six connectors, in all of their modes.

It knows no Kafka and no database; opens nothing, and waits for nothing. `Decoder` (in `decoder`) is what a source uses:

    decoder = Decoder(system, connector, tables, columns, modes, schemas=registry.schema)
    event = decoder.decode(topic, partition, offset, value, headers)

`events` has what comes out, `modes` what a rule file can say of the connector's options, `unfit` what cannot be told
exactly (for `check`).
"""
