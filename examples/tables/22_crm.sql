-- The CRM's side of 22_erp_on_sqlserver.yaml, on PostgreSQL.
CREATE SCHEMA sales;
CREATE TABLE sales.account (
    code varchar(20) PRIMARY KEY, account_name varchar(100) NOT NULL, credit numeric(38,20) NOT NULL,
    blocked boolean NOT NULL DEFAULT false, changed_at timestamptz(3)
);
CREATE TABLE sales.purchase (
    id serial PRIMARY KEY, number varchar(20) NOT NULL UNIQUE,
    account varchar(20) NOT NULL REFERENCES sales.account, amount numeric(19,4) NOT NULL
);
