-- The CRM's side of 02_owners_and_conflicts.yaml.
CREATE SCHEMA sales;
CREATE TABLE sales.account (
    account_no     varchar(12)   PRIMARY KEY,
    account_name   varchar(120)  NOT NULL,
    stage          varchar(10)   NOT NULL DEFAULT 'prospect' CHECK (stage IN ('prospect', 'active', 'dormant')),
    credit_limit   numeric(12,2) NOT NULL DEFAULT 0,
    terms          varchar(8)    NOT NULL DEFAULT 'N30',
    bonus_points   integer       NOT NULL DEFAULT 0,
    last_contact   date,
    billing_street varchar(120),
    billing_city   varchar(80),
    billing_zip    varchar(12)
);
CREATE TABLE sales.deal (
    reference  varchar(14)   PRIMARY KEY,
    account_no varchar(12)   NOT NULL REFERENCES sales.account,
    total      numeric(12,2) NOT NULL,
    note       text
);
