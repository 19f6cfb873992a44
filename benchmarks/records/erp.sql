-- The ERP of the benchmark's records: a customer is a party with a code, an address two hops away, a way to reach it,
-- and a row that says that it is a customer.
CREATE TABLE public.employee (
    id    serial       PRIMARY KEY,
    email varchar(120) NOT NULL UNIQUE,
    name  varchar(120) NOT NULL
);
CREATE TABLE public.party (
    id             serial       PRIMARY KEY,
    name           varchar(120) NOT NULL,
    representative integer      REFERENCES public.employee
);
CREATE TABLE public.party_code (
    id       serial      PRIMARY KEY,
    party    integer     NOT NULL REFERENCES public.party ON DELETE CASCADE,
    type     varchar(10) NOT NULL,
    code     varchar(32) NOT NULL,
    sequence integer
);
CREATE TABLE public.address (
    id     serial PRIMARY KEY,
    street varchar(80),
    city   varchar(60),
    zip    varchar(12)
);
CREATE TABLE public.party_address (
    id       serial  PRIMARY KEY,
    party    integer NOT NULL REFERENCES public.party ON DELETE CASCADE,
    address  integer NOT NULL REFERENCES public.address,
    sequence integer
);
CREATE TABLE public.contact (
    id       serial      PRIMARY KEY,
    party    integer     NOT NULL REFERENCES public.party ON DELETE CASCADE,
    type     varchar(10) NOT NULL CHECK (type IN ('phone', 'email')),
    value    varchar(40) NOT NULL,
    sequence integer
);
CREATE TABLE public.party_group (
    id       serial  PRIMARY KEY,
    party    integer NOT NULL REFERENCES public.party ON DELETE CASCADE,
    group_id integer NOT NULL,
    UNIQUE (party, group_id)
);
CREATE TABLE public.sale (
    id       serial        PRIMARY KEY,
    party    integer       NOT NULL REFERENCES public.party,
    employee integer       REFERENCES public.employee,
    number   varchar(24)   NOT NULL UNIQUE,
    subject  varchar(120),
    total    numeric(12,2) NOT NULL,
    due_on   date
);
-- Joined columns want an index; the code, too, by which the application looks for a customer.
CREATE INDEX ON public.party_code (party);
CREATE INDEX ON public.party_code (code);
CREATE INDEX ON public.party_address (party);
CREATE INDEX ON public.party_address (address);
CREATE INDEX ON public.contact (party);
CREATE INDEX ON public.sale (party);

-- What stands in these tables, without the ERP's own keys: to be compared with the CRM's view of the same name.
CREATE VIEW public.customer_shown AS
SELECT p.name, v.code, a.street, a.city, a.zip, c.value, e.email AS rep
FROM public.party AS p
JOIN public.party_group AS g ON g.party = p.id AND g.group_id = 7
LEFT JOIN public.party_code AS v ON v.party = p.id AND v.type = 'vat'
LEFT JOIN public.party_address AS pa ON pa.party = p.id
LEFT JOIN public.address AS a ON a.id = pa.address
LEFT JOIN public.contact AS c ON c.party = p.id AND c.type = 'phone'
LEFT JOIN public.employee AS e ON e.id = p.representative;
CREATE VIEW public.order_shown AS
SELECT s.number, v.code AS customer, e.email AS rep, s.subject, s.total, s.due_on
FROM public.sale AS s
JOIN public.party_code AS v ON v.party = s.party AND v.type = 'vat'
LEFT JOIN public.employee AS e ON e.id = s.employee;
