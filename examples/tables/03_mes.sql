-- The workshop's side of 03_three_systems.yaml.
CREATE TABLE part (
    plant     varchar(4),
    part_no   integer,
    name      varchar(120) NOT NULL,
    lead_time integer,
    width     integer,
    height    integer,
    PRIMARY KEY (plant, part_no)
);
