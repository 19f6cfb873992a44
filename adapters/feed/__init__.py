"""Agreed changes into Kafka, once each: pages from the store, in one of two forms, a Kafka transaction at a time.

`publisher` carries the pages over, `progress` keeps in Kafka itself how far they are, `beginning` tells what was there
before the first page. `debezium` and `cloudevents` are the forms, `texts` what they do with a single value, `topics`
where it goes. It decides nothing, and never writes to the store.
"""
