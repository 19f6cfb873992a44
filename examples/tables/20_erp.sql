-- The ERP's side of 20_shop_on_sqlite.yaml, on PostgreSQL.
CREATE TABLE article (
    sku varchar(20) PRIMARY KEY, name varchar(80) NOT NULL, net_price numeric(19,2) NOT NULL,
    stock bigint NOT NULL DEFAULT 0, active boolean NOT NULL DEFAULT true
);
CREATE TABLE partner (
    id serial PRIMARY KEY, email varchar(120) NOT NULL UNIQUE, name varchar(80) NOT NULL, city varchar(80)
);
CREATE TABLE sales_order (
    order_no varchar(20) PRIMARY KEY, partner integer NOT NULL REFERENCES partner, total numeric(19,2) NOT NULL,
    sold_at timestamptz NOT NULL, state char(1) NOT NULL DEFAULT 'o' CHECK (state IN ('o', 'd'))
);
