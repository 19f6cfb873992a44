-- The CRM's side of 10_decided_by_state.yaml.
CREATE TABLE contact (
    contact_no   varchar(12)   PRIMARY KEY,
    invoices     integer       NOT NULL DEFAULT 0,
    phone        varchar(30),
    email        varchar(80),
    note         text,
    full_name    varchar(121),
    credit_limit numeric(12,2) NOT NULL DEFAULT 0,
    city         varchar(80),
    country      char(2),
    class        char(1)
);
