-- The few tables of HDB++ that are read, with our own definitions, and some attributes around 2026-11-20 12:00 UTC.
create table att_conf (
    att_conf_id serial primary key,
    att_name text not null unique,
    att_conf_type_id smallint,
    table_name text not null
);
create table att_error_desc (att_error_desc_id serial primary key, error_desc text not null unique);
create table att_parameter (
    att_conf_id integer not null references att_conf,
    recv_time timestamptz not null,
    label text,
    unit text
);
create table att_scalar_devdouble (
    att_conf_id integer not null references att_conf,
    data_time timestamptz not null,
    value_r double precision,
    value_w double precision,
    quality smallint,
    att_error_desc_id integer references att_error_desc,
    primary key (att_conf_id, data_time)
);
create table att_array_devdouble (
    att_conf_id integer not null references att_conf,
    data_time timestamptz not null,
    value_r double precision[],
    value_w double precision[],
    quality smallint,
    att_error_desc_id integer references att_error_desc,
    primary key (att_conf_id, data_time)
);
create table att_scalar_devstring (
    att_conf_id integer not null references att_conf,
    data_time timestamptz not null,
    value_r text,
    value_w text,
    quality smallint,
    att_error_desc_id integer references att_error_desc,
    primary key (att_conf_id, data_time)
);

insert into att_conf (att_conf_id, att_name, att_conf_type_id, table_name) values
    (1, 'tango://control:10000/SR/Magnet/1/Current', 1, 'att_scalar_devdouble'),
    (2, 'tango://control:10000/sr/bpm/all/x', 2, 'att_array_devdouble'),
    (3, 'tango://control:10000/sr/operation/1/mode', 3, 'att_scalar_devstring'),
    (4, 'tango://control:10000/a/twin/1/x', 1, 'att_scalar_devdouble'),
    (5, 'tango://other:10000/a/twin/1/x', 1, 'att_scalar_devdouble'),
    (6, 'tango://control:10000/sr/never/1/x', 1, 'att_scalar_devdouble');
insert into att_error_desc values (1, 'API_DeviceTimedOut: no answer');
insert into att_parameter values
    (1, '2026-01-01 00:00+00', 'current', 'mA'),
    (1, '2026-11-01 00:00+00', 'current', 'A'),
    (1, '2026-12-01 00:00+00', 'current', 'kA'),
    (2, '2026-01-01 00:00+00', 'x', 'mm');
insert into att_scalar_devdouble values
    (1, '2026-11-20 10:00+00', 1.0, 1.0, 0, null),
    (1, '2026-11-20 11:59:30.25+00', 2.5, 2.5, 0, null),
    (1, '2026-11-20 12:00:10.000001+00', 0.1, 0.1, 2, null),
    (1, '2026-11-20 12:00:20+00', null, null, 0, 1),
    (1, '2026-11-20 12:00:30+00', 4.0, 4.0, 1, null),
    (1, '2026-11-20 12:00:40+00', 'NaN', 4.0, 4, null),
    (1, '2026-11-20 13:00+00', 9.0, 9.0, 0, null);
insert into att_array_devdouble values
    (2, '2026-11-20 11:00+00', '{0.5, -1.5, 2.5}', null, 0, null),
    (2, '2026-11-20 12:00:01+00', '{1.5, null, 3.5}', null, 0, null);
insert into att_scalar_devstring values (3, '2026-11-20 12:00:01+00', 'TopUp', null, 0, null);
