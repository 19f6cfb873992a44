-- The ERP's side of 19_feed.yaml.
CREATE TABLE customer (customer_no text PRIMARY KEY, name text NOT NULL, credit_limit numeric(12, 2));
CREATE TABLE sales_order (
    order_no text PRIMARY KEY, customer_no text NOT NULL REFERENCES customer, ordered_at timestamptz, total numeric(12, 2)
);
