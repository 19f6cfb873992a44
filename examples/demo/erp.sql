-- The ERP of the demo: customers, products and sales orders as the people of finance and the warehouse know them.
-- Codes are short (stage P, A, D; status 10, 20, 30, 90), names are the ERP's own, and much is here that the CRM
-- has never heard of. The CRM's schema is in crm.sql; what connects the two is in demo.yaml.

CREATE TABLE public.customer (
    customer_no     varchar(12)   PRIMARY KEY,
    name            varchar(120)  NOT NULL CHECK (name <> ''),
    email           varchar(120)  CHECK (email LIKE '%@%'),
    phone           varchar(40),
    vat_no          varchar(20)   UNIQUE,
    street          varchar(120),
    city            varchar(80),
    postcode        varchar(12),
    country         char(2)       NOT NULL DEFAULT 'DE' CHECK (country ~ '^[A-Z]{2}$'),
    stage           char(1)       NOT NULL DEFAULT 'P' CHECK (stage IN ('P', 'A', 'D')),
    credit_limit    numeric(12,2) NOT NULL DEFAULT 0 CHECK (credit_limit >= 0),
    payment_terms   varchar(8)    NOT NULL DEFAULT 'N30' CHECK (payment_terms IN ('CASH', 'N14', 'N30', 'N60')),
    loyalty_points  integer       NOT NULL DEFAULT 0,
    last_contact_on date,
    remarks         text,
    -- Of no interest to the CRM.
    ledger_account  varchar(10)   NOT NULL DEFAULT '10000',
    created_at      timestamptz   NOT NULL DEFAULT now()
);

CREATE TABLE public.product (
    sku             varchar(24)   PRIMARY KEY,
    description     varchar(160)  NOT NULL,
    unit            varchar(3)    NOT NULL DEFAULT 'PCE' CHECK (unit IN ('PCE', 'KGM', 'MTR', 'SET')),
    list_price      numeric(12,2) NOT NULL CHECK (list_price >= 0),
    currency        char(3)       NOT NULL DEFAULT 'EUR',
    weight_kg       numeric(9,3),
    discontinued    boolean       NOT NULL DEFAULT false,
    -- Of no interest to the CRM.
    stock           integer       NOT NULL DEFAULT 0,
    bin_location    varchar(12)
);

CREATE TABLE public.sales_order (
    order_no        varchar(14)   PRIMARY KEY,
    customer_no     varchar(12)   NOT NULL REFERENCES public.customer (customer_no),
    sku             varchar(24)   NOT NULL REFERENCES public.product (sku),
    quantity        integer       NOT NULL CHECK (quantity > 0),
    amount          numeric(14,2) NOT NULL CHECK (amount >= 0),
    currency        char(3)       NOT NULL DEFAULT 'EUR',
    status          varchar(2)    NOT NULL DEFAULT '10' CHECK (status IN ('10', '20', '30', '90')),
    ordered_on      date          NOT NULL,
    promised_on     date,
    delivery_note   text,
    CONSTRAINT promised_after_ordered CHECK (promised_on IS NULL OR promised_on >= ordered_on)
);

CREATE INDEX sales_order_customer ON public.sales_order (customer_no);
CREATE INDEX sales_order_product ON public.sales_order (sku);
CREATE INDEX customer_country ON public.customer (country, city);
