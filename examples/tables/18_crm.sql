-- The CRM's side of 18_erp_by_debezium.yaml.
CREATE SCHEMA sales;
CREATE TABLE sales.account (
    code text PRIMARY KEY, account_name text NOT NULL, credit numeric(12, 2), customer_since date
);
CREATE TABLE sales.purchase (
    number text PRIMARY KEY, account text NOT NULL REFERENCES sales.account, ordered_at timestamptz, amount numeric(12, 2)
);
