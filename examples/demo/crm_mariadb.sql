-- The CRM of the demo on MariaDB, in the database `sales`: the tables of crm.sql as a MariaDB application has them. What
-- is a schema in PostgreSQL is a database here; `modified_at` keeps itself, and no rule binds that column.
-- The ERP's schema is in erp.sql; what connects the two is in demo_mariadb.yaml.

CREATE TABLE account (
    account_no      varchar(12)   PRIMARY KEY,
    account_name    varchar(120)  NOT NULL CHECK (account_name <> ''),
    email_address   varchar(120)  CHECK (email_address LIKE '%@%'),
    phone           varchar(40),
    tax_id          varchar(20)   UNIQUE,
    billing_street  varchar(120),
    billing_city    varchar(80),
    billing_zip     varchar(12),
    billing_country char(2)       NOT NULL DEFAULT 'DE',
    stage           enum('prospect', 'active', 'dormant') NOT NULL DEFAULT 'prospect',
    credit_limit    decimal(12,2) NOT NULL DEFAULT 0,
    payment_terms   varchar(8)    NOT NULL DEFAULT 'N30',
    bonus_points    int           NOT NULL DEFAULT 0,
    last_contact    date,
    notes           text,
    -- Of no interest to the ERP.
    owner_name      varchar(60),
    score           tinyint       CHECK (score BETWEEN 0 AND 100),
    modified_at     timestamp(6)  NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
    KEY account_name (account_name)
) CHARACTER SET utf8mb4;

CREATE TABLE item (
    code            varchar(24)   PRIMARY KEY,
    title           varchar(160)  NOT NULL,
    sold_by         enum('piece', 'kilogram', 'metre', 'set') NOT NULL DEFAULT 'piece',
    unit_price      decimal(12,2) NOT NULL,
    price_currency  char(3)       NOT NULL DEFAULT 'EUR',
    weight          decimal(9,3),
    retired         boolean       NOT NULL DEFAULT false,
    -- Of no interest to the ERP.
    pitch           text,
    modified_at     timestamp(6)  NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)
) CHARACTER SET utf8mb4;

CREATE TABLE deal (
    reference       varchar(14)   PRIMARY KEY,
    account_no      varchar(12)   NOT NULL,
    item_code       varchar(24)   NOT NULL,
    pieces          int           NOT NULL CHECK (pieces > 0),
    total           decimal(14,2) NOT NULL,
    total_currency  char(3)       NOT NULL DEFAULT 'EUR',
    state           enum('open', 'confirmed', 'shipped', 'cancelled') NOT NULL DEFAULT 'open',
    closed_on       date          NOT NULL,
    wanted_by       date,
    shipping_note   text,
    modified_at     timestamp(6)  NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
    FOREIGN KEY (account_no) REFERENCES account (account_no),
    FOREIGN KEY (item_code) REFERENCES item (code)
) CHARACTER SET utf8mb4;
