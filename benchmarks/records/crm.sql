-- The CRM of the benchmark's records: one row a record.
CREATE TABLE public.users (
    id        bigserial    PRIMARY KEY,
    email     varchar(120) NOT NULL UNIQUE,
    full_name varchar(120) NOT NULL
);
CREATE TABLE public.account (
    id               bigserial    PRIMARY KEY,
    name             varchar(120) NOT NULL,
    vat_number       varchar(32)  UNIQUE,
    billing_street   varchar(80),
    billing_city     varchar(60),
    billing_postcode varchar(12),
    phone            varchar(40),
    rep_id           bigint       REFERENCES public.users
);
CREATE TABLE public.deal (
    id         bigserial     PRIMARY KEY,
    account_id bigint        NOT NULL REFERENCES public.account,
    rep_id     bigint        REFERENCES public.users,
    number     varchar(24)   NOT NULL UNIQUE,
    title      varchar(120),
    total      numeric(12,2) NOT NULL,
    closes_on  date
);
CREATE INDEX ON public.deal (account_id);

-- What stands in these tables, without the CRM's own keys: to be compared with the ERP's view of the same name.
CREATE VIEW public.customer_shown AS
SELECT a.name, a.vat_number, a.billing_street, a.billing_city, a.billing_postcode, a.phone, u.email AS rep
FROM public.account AS a LEFT JOIN public.users AS u ON u.id = a.rep_id;
CREATE VIEW public.order_shown AS
SELECT d.number, a.vat_number AS customer, u.email AS rep, d.title, d.total, d.closes_on
FROM public.deal AS d JOIN public.account AS a ON a.id = d.account_id LEFT JOIN public.users AS u ON u.id = d.rep_id;
