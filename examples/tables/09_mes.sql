-- The workshop's side of 09_three_systems.yaml.
CREATE TABLE part (
    plant     varchar(4),
    part_no   integer,
    name      varchar(120) NOT NULL,
    lead_time integer,
    width     integer,
    height    integer,
    PRIMARY KEY (plant, part_no)
);
CREATE TABLE job (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_no     varchar(12) NOT NULL,
    pieces     integer     NOT NULL,
    due        date,
    state      varchar(10) NOT NULL DEFAULT 'planned',
    good_parts integer     NOT NULL DEFAULT 0
);
