-- The ERP's side of 02_owners_and_conflicts.yaml.
CREATE TABLE customer (
    customer_no     varchar(12)   PRIMARY KEY,
    name            varchar(120)  NOT NULL,
    stage           char(1)       NOT NULL DEFAULT 'P' CHECK (stage IN ('P', 'A', 'D')),
    credit_limit    numeric(12,2) NOT NULL DEFAULT 0,
    payment_terms   varchar(8)    NOT NULL DEFAULT 'N30',
    loyalty_points  integer       NOT NULL DEFAULT 0,
    last_contact_on date,
    street          varchar(120),
    city            varchar(80),
    postcode        varchar(12)
);
CREATE TABLE sales_order (
    order_no    varchar(14)   PRIMARY KEY,
    customer_no varchar(12)   NOT NULL REFERENCES customer,
    amount      numeric(12,2) NOT NULL,
    note        text
);
