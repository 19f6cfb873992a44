-- The ERP's side of 18_erp_by_debezium.yaml.
CREATE TABLE customer (customer_no text PRIMARY KEY, name text NOT NULL, credit_limit numeric(12, 2), since date);
CREATE TABLE sales_order (
    order_no text PRIMARY KEY, customer_no text NOT NULL REFERENCES customer, ordered_at timestamptz, total numeric(12, 2)
);
