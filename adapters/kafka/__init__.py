"""What all that speaks to Kafka does alike: where the brokers are and how safely they are spoken to, what their errors
mean, and how topics are looked at. It knows no database, and no envelope of anybody's.
"""
