-- The office's side of 17_synchronous.yaml.
CREATE TABLE seat (
    night   date          NOT NULL,
    seat_no varchar(6)    NOT NULL,
    price   numeric(8,2)  NOT NULL,
    guest   varchar(80),
    paid    date,
    PRIMARY KEY (night, seat_no)
);
