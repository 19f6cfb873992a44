-- The CRM of the demo: the same business as the people of sales know it. Everything has another name, codes are
-- words, and a trigger keeps `modified_at`, which is the CRM's own affair: no rule binds that column.
-- The ERP's schema is in erp.sql; what connects the two is in demo.yaml.

CREATE SCHEMA sales;

CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.modified_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE TABLE sales.account (
    account_no      varchar(12)   PRIMARY KEY,
    account_name    varchar(120)  NOT NULL CHECK (account_name <> ''),
    email_address   varchar(120)  CHECK (email_address LIKE '%@%'),
    phone           varchar(40),
    tax_id          varchar(20)   UNIQUE,
    billing_street  varchar(120),
    billing_city    varchar(80),
    billing_zip     varchar(12),
    billing_country char(2)       NOT NULL DEFAULT 'DE',
    stage           varchar(10)   NOT NULL DEFAULT 'prospect' CHECK (stage IN ('prospect', 'active', 'dormant')),
    credit_limit    numeric(12,2) NOT NULL DEFAULT 0,
    payment_terms   varchar(8)    NOT NULL DEFAULT 'N30',
    bonus_points    integer       NOT NULL DEFAULT 0,
    last_contact    date,
    notes           text,
    -- Of no interest to the ERP.
    owner_name      varchar(60),
    score           integer       CHECK (score BETWEEN 0 AND 100),
    modified_at     timestamptz   NOT NULL DEFAULT now()
);

CREATE TABLE sales.item (
    code            varchar(24)   PRIMARY KEY,
    title           varchar(160)  NOT NULL,
    sold_by         varchar(8)    NOT NULL DEFAULT 'piece' CHECK (sold_by IN ('piece', 'kilogram', 'metre', 'set')),
    unit_price      numeric(12,2) NOT NULL,
    price_currency  char(3)       NOT NULL DEFAULT 'EUR',
    weight          numeric(9,3),
    retired         boolean       NOT NULL DEFAULT false,
    -- Of no interest to the ERP.
    pitch           text,
    modified_at     timestamptz   NOT NULL DEFAULT now()
);

CREATE TABLE sales.deal (
    reference       varchar(14)   PRIMARY KEY,
    account_no      varchar(12)   NOT NULL REFERENCES sales.account (account_no),
    item_code       varchar(24)   NOT NULL REFERENCES sales.item (code),
    pieces          integer       NOT NULL CHECK (pieces > 0),
    total           numeric(14,2) NOT NULL,
    total_currency  char(3)       NOT NULL DEFAULT 'EUR',
    state           varchar(10)   NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'shipped', 'cancelled')),
    closed_on       date          NOT NULL,
    wanted_by       date,
    shipping_note   text,
    modified_at     timestamptz   NOT NULL DEFAULT now()
);

CREATE INDEX deal_account ON sales.deal (account_no);
CREATE INDEX deal_item ON sales.deal (item_code);
CREATE INDEX account_name ON sales.account (lower(account_name));

CREATE TRIGGER touch BEFORE UPDATE ON sales.account FOR EACH ROW EXECUTE FUNCTION sales.touch();
CREATE TRIGGER touch BEFORE UPDATE ON sales.item FOR EACH ROW EXECUTE FUNCTION sales.touch();
CREATE TRIGGER touch BEFORE UPDATE ON sales.deal FOR EACH ROW EXECUTE FUNCTION sales.touch();
