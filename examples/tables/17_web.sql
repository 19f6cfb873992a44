-- The shop's side of 17_synchronous.yaml.
CREATE SCHEMA shop;
CREATE TABLE shop.seat (
    night   date         NOT NULL,
    seat_no varchar(6)   NOT NULL,
    price   numeric(8,2) NOT NULL,
    sold_to varchar(80),
    paid_on date,
    PRIMARY KEY (night, seat_no)
);
