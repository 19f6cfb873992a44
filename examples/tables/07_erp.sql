-- The ERP's side of 07_orders.yaml.
CREATE TABLE customer (
    id    serial       PRIMARY KEY,
    name  varchar(120) NOT NULL,
    email varchar(120)
);
CREATE TABLE product (
    id   serial       PRIMARY KEY,
    sku  varchar(24)  NOT NULL UNIQUE,
    name varchar(120) NOT NULL
);
CREATE TABLE order_state (id integer PRIMARY KEY, code varchar(12) NOT NULL UNIQUE);
INSERT INTO order_state VALUES (1, 'draft'), (2, 'confirmed'), (3, 'working'), (4, 'done'), (9, 'cancelled');
CREATE SEQUENCE order_number_seq START 260001;
CREATE TABLE sales_order (
    id             serial       PRIMARY KEY,
    number         integer      NOT NULL UNIQUE DEFAULT nextval('order_number_seq'),
    your_reference varchar(20)  UNIQUE,
    customer       integer      NOT NULL REFERENCES customer,
    subject        varchar(160),
    ordered        date         NOT NULL,
    state          integer      NOT NULL DEFAULT 1 REFERENCES order_state,
    delivery       char(1)      NOT NULL DEFAULT 'N' CHECK (delivery IN ('N', 'P', 'F')),
    invoiced_on    date
);
CREATE TABLE sales_order_line (
    id          serial        PRIMARY KEY,
    sales_order integer       NOT NULL REFERENCES sales_order ON DELETE CASCADE,
    position    integer       NOT NULL,
    product     integer       NOT NULL REFERENCES product,
    quantity    numeric(12,3) NOT NULL,
    unit_price  numeric(14,4) NOT NULL,
    UNIQUE (sales_order, position)
);
