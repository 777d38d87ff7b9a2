/**
 * The sandbox's data, made in SQL from row numbers alone: the same on every machine. `README.md` describes it. All people,
 * numbers and addresses are made up.
 */

const FIRST = `['Ada','Ben','Chloe','Dmitri','Elena','Farid','Grace','Hugo','Ines','Jonas','Keiko','Liam','Mara','Nils','Olga','Pablo','Quinn','Rosa','Sven','Tara','Ugo','Vera','Wim','Xenia','Yusuf','Zoe','André','Björk','Çelik','Zoë']`
const LAST = `['Abbott','Berg','Castro','Dubois','Eriksen','Fischer','García','Hansen','Ivanova','Jensen','Kowalski','Lindqvist','Moreau','Novak','O''Brien','Petrov','Quist','Rossi','Schmidt','Tanaka','Urban','Varga','Weber','Xu','Yilmaz','Zimmer','Ångström']`
const CITY = `['Lisbon','Oslo','Vienna','Prague','Ghent','Turin','Porto','Malmö','Graz','Lyon','Cork','Basel','Zürich','Brno']`

const pick = (list: string, index: string): string => `(${list})[1 + CAST((${index}) % len(${list}) AS INTEGER)]`
const ts = (text: string): string => `TIMESTAMPTZ '${text}+00'`

const CUSTOMERS = `CREATE TABLE wh.shop.customers AS
  SELECT i AS id,
    CASE WHEN i % 211 = 0 THEN NULL ELSE ${pick(FIRST, 'i * 7')} || ' ' || ${pick(LAST, 'i * 11 + i // 30')} END AS name,
    CASE WHEN i % 97 = 0 THEN NULL ELSE lower(${pick("['ada','ben','chloe','dmitri','elena','farid','grace','hugo','ines','jonas']", 'i')}) || '.' || i || '@'
      || ${pick("['example.com','example.org','mail.example','shop.example']", 'i // 3')} END AS email,
    CASE WHEN i % 89 = 0 THEN NULL ELSE printf('%03d-%02d-%04d', 100 + (i * 37) % 800, 1 + (i * 13) % 98, i) END AS ssn,
    CASE WHEN i % 83 = 0 THEN NULL ELSE printf('+1-202-%03d-%04d', 100 + (i * 17) % 900, i) END AS phone,
    CASE WHEN i % 79 = 0 THEN NULL ELSE CAST(DATE '1940-01-01' + CAST((i * 7919) % 23000 AS INTEGER) AS DATE) END AS birth_date,
    CASE WHEN i % 73 = 0 THEN NULL ELSE struct_pack(
      street := CASE WHEN i % 71 = 0 THEN NULL ELSE CAST(1 + (i * 31) % 300 AS VARCHAR) || ' ' || ${pick("['Mill','Station','Church','Harbour','Garden','King''s','Rosa'] ", 'i * 3')} || ' Street' END,
      city := CASE WHEN i % 67 = 0 THEN NULL ELSE ${pick(CITY, 'i * 5')} END,
      zip := CASE WHEN i % 61 = 0 THEN NULL ELSE printf('%05d', (i * 1237) % 100000) END) END AS address,
    list_slice(['new','vip','eu','beta','churned'], 1, i % 4) AS tags,
    CASE WHEN i % 59 = 0 THEN CAST([] AS STRUCT(kind VARCHAR, value VARCHAR)[]) ELSE list_slice([
      struct_pack(kind := 'email', value := CASE WHEN i % 53 = 0 THEN NULL ELSE 'private.' || i || '@home.example' END),
      struct_pack(kind := 'phone', value := printf('+1-303-%03d-%04d', 100 + (i * 19) % 900, i)),
      struct_pack(kind := CASE WHEN i % 47 = 0 THEN NULL ELSE 'chat' END, value := '@handle' || i)], 1, 1 + i % 3) END AS contacts,
    CASE WHEN i % 43 = 0 THEN NULL WHEN i % 41 = 0 THEN CAST('{"plan":"free"}' AS JSON)
      ELSE CAST(concat('{"card":"4111', lpad(CAST((i * 7907) % 100000000 AS VARCHAR), 8, '0'), printf('%04d', i), '","plan":"',
        ${pick("['free','pro','team']", 'i')}, '","seats":', i % 20, '}') AS JSON) END AS metadata,
    CASE WHEN i % 101 = 0 THEN NULL ELSE ${ts('2024-01-01 00:00:00')} + to_seconds((i * 40009) % 80000000) END AS created_at
  FROM range(1, 2001) r(i)`

const ORDERS = `CREATE TABLE wh.shop.orders AS
  SELECT i AS id,
    CASE WHEN i % 113 = 0 THEN NULL ELSE 1 + (i * 7) % 2000 END AS customer_id,
    CASE WHEN i % 113 = 0 THEN NULL ELSE (SELECT c.email FROM wh.shop.customers c WHERE c.id = 1 + (i * 7) % 2000) END AS customer_email,
    CASE WHEN i % 109 = 0 THEN NULL ELSE CAST((i * 7919) % 99991 AS DECIMAL(38,9)) * 0.01::DECIMAL(3,2) END AS amount,
    CASE WHEN i % 107 = 0 THEN NULL ELSE ${pick("['placed','paid','shipped','delivered','returned','cancelled']", 'i * 5 + i // 7')} END AS status,
    CASE WHEN i % 103 = 0 THEN NULL ELSE ${ts('2024-03-01 08:00:00')} + to_seconds((i * 13499) % 75000000) END AS placed_at,
    list_slice([
      struct_pack(sku := 'SKU-' || (i % 50), quantity := 1 + i % 5, price := CAST((i * 31) % 5000 AS DECIMAL(38,9)) * 0.01::DECIMAL(3,2)),
      struct_pack(sku := CASE WHEN i % 37 = 0 THEN NULL ELSE 'SKU-' || ((i + 7) % 50) END, quantity := CASE WHEN i % 31 = 0 THEN NULL ELSE 1 + i % 3 END,
        price := CASE WHEN i % 29 = 0 THEN NULL ELSE CAST((i * 17) % 5000 AS DECIMAL(38,9)) * 0.01::DECIMAL(3,2) END)], 1, i % 3) AS items
  FROM range(1, 6001) r(i)`

const METRICS = `CREATE TABLE wh.shop.metrics AS
  SELECT i AS id, make_timestamptz(1767225600000000 + i * 1000003) AS ts, CAST(DATE '2026-01-01' + CAST(i % 365 AS INTEGER) AS DATE) AS day,
    'metric-' || (i % 1000) AS name, ['cpu','memory','disk','network'][1 + i % 4] AS category,
    CASE WHEN i % 1009 = 0 THEN NULL ELSE CAST((i * 7919) % 1000003 AS DOUBLE) / 977 END AS value,
    CASE WHEN i % 1013 = 0 THEN NULL ELSE CAST(CAST((i * 104729) % 100000007 AS DECIMAL(18,0)) * 0.01::DECIMAL(3,2) AS DECIMAL(38,9)) END AS amount,
    CASE WHEN i % 1019 = 0 THEN NULL ELSE i % 3 = 0 END AS flag, CASE WHEN i % 1021 = 0 THEN NULL ELSE (i * 31) % 10007 END AS count,
    CASE WHEN i % 7 = 0 THEN NULL ELSE 'note ' || md5(CAST(i AS VARCHAR)) END AS note
  FROM range(1, 1000001) r(i)`

const events = (day: number): string => `CREATE TABLE wh.shop.events_2026010${day} AS
  SELECT 'e${day}-' || i AS event_id, CASE WHEN i % 23 = 0 THEN NULL ELSE 1 + (i * 7 + ${day}) % 2000 END AS user_id,
    ${pick("['view','search','add_to_cart','checkout','purchase']", `i * 3 + ${day}`)} AS name,
    ${ts(`2026-01-0${day} 00:00:00`)} + to_seconds(i * 431) AS ts,
    CASE WHEN i % 19 = 0 THEN NULL ELSE CAST(concat('{"page":"/p/', i % 40, '","position":', i % 10, '}') AS JSON) END AS properties
  FROM range(1, 201) r(i)`

const VISITS = `CREATE TABLE wh.shop.visits AS
  SELECT i AS id, CASE WHEN i % 17 = 0 THEN NULL ELSE 'visitor.' || (i * 7 % 120) || '@visit.example' END AS email,
    '/p/' || (i * 11 % 40) AS page, CASE WHEN i % 13 = 0 THEN NULL ELSE (i * 37) % 600 END AS seconds,
    ${ts('2026-01-01 00:00:00')} + to_days(CAST(i % 7 AS INTEGER)) AS _PARTITIONTIME
  FROM range(1, 701) r(i)`

const TYPES = `CREATE TABLE wh.shop.types (
    id BIGINT NOT NULL, int64 BIGINT, numeric DECIMAL(38,9), bignumeric DECIMAL(38,20), float64 DOUBLE, bool BOOLEAN, string VARCHAR, bytes BLOB,
    date DATE, time TIME, datetime TIMESTAMP, timestamp TIMESTAMPTZ, "interval" INTERVAL, json JSON, geography STRUCT(_wkt VARCHAR),
    ints BIGINT[], strings VARCHAR[], struct STRUCT(a BIGINT, b VARCHAR, c STRUCT(d DATE, e DECIMAL(38,9)[])),
    structs STRUCT(k VARCHAR, v DOUBLE)[])`

const TYPE_ROWS = `INSERT INTO wh.shop.types VALUES
  (1, 9223372036854775807, 99999999999999999999999999999.999999999, 123456789012345678.12345678901234567891, 1.5, TRUE, 'plain', unhex('00ff10'),
    '2026-02-28', '23:59:59.999999', '2026-02-28 23:59:59.999999', '2026-02-28 23:59:59.999999+00', INTERVAL '1 year 2 months 3 days 04:05:06.789',
    '{"a":[1,2,{"b":null}],"n":12345678901234567890}', struct_pack(_wkt := 'POINT(1 2)'), [1, 9007199254740993], ['a', 'b'],
    struct_pack(a := 1, b := 'x', c := struct_pack(d := DATE '2026-01-01', e := [1.5, 2.25])), [struct_pack(k := 'one', v := 1.0), struct_pack(k := 'two', v := 2.5)]),
  (2, -9223372036854775808, -0.000000001, -0.00000000000000000001, 'NaN', FALSE, E'quote " backslash \\\\ newline \\n tab \\t é 漢字 🙂', unhex(''),
    '0001-01-01', '00:00:00', '0001-01-01 00:00:00', '1970-01-01 00:00:00+00', INTERVAL '-1 year', 'null', struct_pack(_wkt := 'POLYGON((0 0,1 0,1 1,0 0))'),
    [], [], struct_pack(a := NULL, b := NULL, c := NULL), []),
  (3, 9007199254740993, 0, 0, 'Infinity', NULL, '', unhex('68656c6c6f'), '9999-12-31', '12:00:00', '9999-12-31 23:59:59', '9999-12-31 23:59:59+00',
    INTERVAL '0 days', '"text"', NULL, [0], [''], struct_pack(a := -1, b := '', c := struct_pack(d := NULL, e := [])), [struct_pack(k := NULL, v := NULL)]),
  (4, 0, 12345.678900000, 0.5, '-Infinity', TRUE, '<script>&amp;</script>', unhex('c3a9'), '2024-02-29', '01:02:03.5', '2024-02-29 01:02:03.5',
    '1969-12-31 23:59:59.5+00', INTERVAL '-3 days -01:00:00', '[1.10,true,""]', struct_pack(_wkt := 'LINESTRING(0 0,1 1)'), [-1, 1], ['é'],
    struct_pack(a := 2, b := 'y', c := struct_pack(d := DATE '2024-02-29', e := [0])), [struct_pack(k := 'nan', v := 'NaN'::DOUBLE)]),
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`

const VIEW_SOURCE = 'SELECT id, name, email, address.city AS city FROM `sluice-sandbox.shop.customers`'

/** All statements that make the data, in order, to run in one transaction. */
export const SEED: readonly string[] = [
  'CREATE SCHEMA wh._sluice',
  'CREATE TABLE wh._sluice.views (dataset VARCHAR, name VARCHAR, source VARCHAR)',
  'CREATE SCHEMA wh.shop',
  'CREATE SCHEMA wh.hr',
  CUSTOMERS,
  ORDERS,
  `CREATE TABLE wh.shop.leads AS SELECT CASE WHEN i % 31 = 0 THEN NULL ELSE 'lead.' || i || '@prospect.example' END AS email,
    CASE WHEN i % 29 = 0 THEN NULL ELSE ${pick("['web','fair','referral','ad']", 'i * 3')} END AS source FROM range(1, 501) r(i)`,
  'CREATE VIEW wh.shop.customer_directory AS SELECT id, name, email, (address).city AS city FROM wh.shop.customers',
  `INSERT INTO wh._sluice.views VALUES ('shop', 'customer_directory', '${VIEW_SOURCE}')`,
  ...[1, 2, 3, 4, 5, 6, 7].map(events),
  METRICS,
  VISITS,
  TYPES,
  TYPE_ROWS,
  `CREATE TABLE wh.hr.salaries AS SELECT i AS employee_id, ${pick(FIRST, 'i * 3')} || ' ' || ${pick(LAST, 'i * 5')} AS name,
    CASE WHEN i % 17 = 0 THEN NULL ELSE CAST(42000 + (i * 7919) % 90000 AS DECIMAL(38,9)) END AS salary FROM range(1, 121) r(i)`,
]
