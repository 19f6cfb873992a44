-- The ERP's side of 10_decided_by_state.yaml.
CREATE TABLE customer (
    customer_no  varchar(12)   PRIMARY KEY,
    invoices     integer       NOT NULL DEFAULT 0,
    phone        varchar(30),
    email        varchar(80),
    remark       text,
    first_name   varchar(60),
    last_name    varchar(60),
    credit_limit numeric(12,2) NOT NULL DEFAULT 0,
    city         varchar(80),
    country      char(2),
    changed_at   timestamptz
);
