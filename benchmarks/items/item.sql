-- The one table of the benchmark: thirteen columns of the kinds that business tables are made of.
CREATE TABLE public.item (
    id          bigint PRIMARY KEY,
    code        varchar(24)   NOT NULL,
    name        varchar(80)   NOT NULL,
    street      varchar(80),
    city        varchar(60),
    postcode    varchar(12),
    country     varchar(2)    NOT NULL,
    email       varchar(80),
    phone       varchar(40),
    price       numeric(12,2) NOT NULL,
    quantity    integer       NOT NULL,
    active      boolean       NOT NULL,
    changed_on  date          NOT NULL
);
