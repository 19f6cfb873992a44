-- The ERP's side of 15_held.yaml.
CREATE TABLE contract (
    contract_no   varchar(12)  PRIMARY KEY,
    title         varchar(120) NOT NULL,
    payment_days  integer,
    cash_discount numeric(4,2),
    valid_from    date,
    valid_to      date
);
