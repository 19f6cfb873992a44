-- The CRM's side of 07_orders.yaml.
CREATE TABLE account (
    id    uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    name  varchar(120) NOT NULL,
    email varchar(120)
);
CREATE TABLE product (
    id    uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    sku   varchar(24)  NOT NULL UNIQUE,
    label varchar(120) NOT NULL
);
CREATE TABLE opportunity (
    id              uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    number          varchar(20)  NOT NULL UNIQUE,
    account_id      uuid         NOT NULL REFERENCES account,
    title           varchar(160),
    stage           varchar(10)  NOT NULL DEFAULT 'open' CHECK (stage IN ('open', 'offered', 'won', 'lost')),
    probability     integer,                                 -- the CRM's own affair
    order_no        integer,
    order_status    varchar(20)  CHECK (
        order_status IN ('Entered', 'Confirmed', 'In work', 'On hold', 'Closed', 'Cancelled')
    ),
    delivery_status varchar(10),
    invoiced_on     date
);
CREATE TABLE opportunity_line (
    id             uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
    opportunity_id uuid          NOT NULL REFERENCES opportunity ON DELETE CASCADE,
    position       integer       NOT NULL,
    product_id     uuid          NOT NULL REFERENCES product,
    quantity       numeric(12,3) NOT NULL,
    unit_price     numeric(12,2) NOT NULL,
    UNIQUE (opportunity_id, position)
);
