SELECT * FROM t

SELECT * FROM t, u AS t2, t2.a

SELECT x FROM `a.b.c` AS b, b.c, `b`.d

SELECT x FROM a.b.c, b.c, c.d

SELECT x FROM a.b.c d, c.d, d.e

SELECT x FROM a AS b JOIN b AS c ON TRUE JOIN c.d ON TRUE

SELECT x FROM (SELECT 1 AS y) AS shop, shop.orders

SELECT x FROM (d.t AS shop CROSS JOIN d.u) CROSS JOIN shop.orders

SELECT x FROM d.t AS shop JOIN (SELECT * FROM shop.orders) ON TRUE

SELECT (SELECT COUNT(*) FROM shop.orders) FROM d.t AS shop

SELECT (SELECT COUNT(*) FROM shop.orders) FROM d.shop

WITH shop AS (SELECT 1 AS id) SELECT (SELECT COUNT(*) FROM shop.orders) FROM d.t

WITH shop AS (SELECT [1] AS orders) SELECT o FROM shop, shop.orders AS o

WITH shop AS (SELECT [1] AS orders) SELECT o FROM shop AS s, shop.orders AS o

WITH t AS (SELECT 1 AS a), u AS (WITH t AS (SELECT * FROM d.t) SELECT * FROM t) SELECT * FROM t, u

WITH t AS (SELECT * FROM u), u AS (SELECT * FROM t) SELECT * FROM u

WITH RECURSIVE t AS (SELECT * FROM u), u AS (SELECT 1 AS a UNION ALL SELECT a FROM u WHERE a < 3) SELECT * FROM t

SELECT * FROM d.t WHERE id IN (WITH t AS (SELECT 1 AS id) SELECT id FROM t)

SELECT * FROM d.t JOIN (WITH t AS (SELECT 1 AS id) SELECT * FROM t, d.t) USING (id)

WITH T AS (SELECT 1 AS a) SELECT * FROM t, `T`, d.T

SELECT a FROM d.t UNION ALL SELECT a FROM (WITH t AS (SELECT 2 AS a) SELECT a FROM t) UNION ALL SELECT a FROM t

SELECT o.a.b FROM d.orders o WHERE EXISTS(SELECT 1 FROM o.a WHERE EXISTS(SELECT 1 FROM a.b, o.c))

SELECT ARRAY(SELECT x FROM UNNEST(o.items) x JOIN d.u ON x = u.id) FROM d.orders o

SELECT ARRAY(SELECT x FROM o.items AS x, x.parts AS p WHERE p IN (SELECT p FROM d.parts)) FROM d.orders AS o

SELECT ARRAY_AGG((SELECT AS STRUCT t.*, u.v FROM d.u WHERE u.id = t.id)) FROM d.t

SELECT STRUCT((SELECT a FROM d.a) AS a, (SELECT b FROM d.b) AS b).a

SELECT (SELECT (SELECT (SELECT x FROM d.one) + (SELECT x FROM d.two)) FROM d.three) FROM d.four

SELECT COALESCE((SELECT a FROM d.a), (SELECT b FROM d.b), 0) + IFNULL((SELECT c FROM d.c), 1)

SELECT a FROM d.t ORDER BY (SELECT MAX(x) FROM d.order_by) DESC

SELECT a FROM d.t GROUP BY a HAVING COUNT(*) > (SELECT MIN(x) FROM d.having_from)

SELECT SUM(x) OVER (PARTITION BY (SELECT a FROM d.part) ORDER BY (SELECT b FROM d.ord)) FROM d.t

SELECT * FROM d.t JOIN d.u ON t.id = (SELECT MAX(id) FROM d.on_from)

SELECT * FROM d.t LEFT OUTER JOIN d.u ON t.id = u.id AND u.x IN (SELECT x FROM d.v), d.w

SELECT * FROM d.a, d.b JOIN d.c ON TRUE, d.e LEFT JOIN d.f USING (k), d.g

SELECT * FROM d.a INNER JOIN d.b USING (a, b) CROSS JOIN UNNEST(b.arr) AS x

SELECT * FROM ((SELECT a FROM d.a) UNION ALL (SELECT a FROM d.b)) AS u, u.a

SELECT * FROM ((d.a JOIN d.b USING (id)) JOIN (d.c JOIN d.e USING (id)) USING (id))

SELECT * FROM d.t AS t (a, b)

SELECT * FROM UNNEST([1, 2]) WITH OFFSET

SELECT * FROM UNNEST(ARRAY<STRUCT<a INT64, b ARRAY<STRING>>>[(1, ['x'])]) AS s, s.b AS e WITH OFFSET AS pos

SELECT * FROM UNNEST(ARRAY(SELECT AS STRUCT a, b FROM d.t)) AS s, UNNEST([s.a, s.b]) AS v

SELECT * FROM UNNEST([(SELECT a FROM d.a), (SELECT b FROM d.b)]) AS x

SELECT * FROM d.t PIVOT(COUNT(*) FOR x IN ('a', 'b')) JOIN d.u ON TRUE

SELECT * FROM d.t AS s UNPIVOT((a, b) FOR c IN ((e, f), (g, h))) JOIN s.u ON TRUE

SELECT * FROM d.t FOR SYSTEM TIME AS OF (SELECT MAX(ts) FROM d.times)

SELECT * FROM `p-1.d.t$20240101`

SELECT * FROM `p-1.d.INFORMATION_SCHEMA.TABLE_STORAGE`

SELECT * FROM `p-1`.`region-eu`.INFORMATION_SCHEMA.JOBS_BY_PROJECT WHERE query LIKE '%x%'

SELECT * FROM p-1-x.d.t_1, p-1-x.e.t

SELECT * FROM p-1.`d`.t AS `p-1`

SELECT 1-x.a FROM d.x

SELECT a-b.c FROM d.b, d.a-1

SELECT a FROM d.t--comment
WHERE a > 1

SELECT a FROM d.t/* x */AS/* y */u/* z */,/* w */u.b

SELECT "a -- b" FROM d.t -- "c

SELECT "a /* b" FROM d.t /* " */

SELECT '\'' FROM d.t WHERE a = '\\' AND b = '\\\''

SELECT r'\' FROM d.t', "\"" FROM d.t

SELECT """a "quoted" b""" AS x, '''c 'quoted' d''' AS y FROM d.t

SELECT """
FROM d.no
""" FROM d.yes

SELECT '''''' AS empty, '' '' FROM d.t

SELECT 'a' AS `from d.no`, `b` FROM d.`yes`

SELECT b'\x00\xff', '\u00e9\U0001F600', "\n\t\\" FROM d.t

SELECT 0x1F, 1e10, .5, 5., 1.5E-3, 123abc FROM d.t

SELECT a.from, b.select, c.join FROM d.t

SELECT t.`group`.`by` FROM d.t AS t ORDER BY t.`order`

SELECT date, time, timestamp, `interval`, offset, range_, value, key, type FROM d.t

SELECT DATE(a), TIME(b), DATETIME(c), TIMESTAMP(e), STRING(f) FROM d.t

SELECT first AS FROM d.t

SELECT safe.f, net.host, hash.x FROM d.safe, d.net, d.hash

SELECT IF(a, b, c), LEFT(e, 1), RIGHT(f, 2), REPLACE(g, 'a', 'b'), FORMAT('%d', h) FROM d.t

SELECT EXTRACT(WEEK(MONDAY) FROM a), EXTRACT(DATE FROM b AT TIME ZONE (SELECT tz FROM d.zones)) FROM d.t

SELECT TRIM(a), SUBSTR(b FROM 1) FROM d.t

SELECT CAST(a AS ARRAY<STRUCT<x INT64, y STRING>>), CAST(b AS NUMERIC(10, 2)), SAFE_CAST(c AS STRING(5)) FROM d.t

SELECT x IS TRUE, y IS NOT NULL, z IS DISTINCT FROM w, a IS NOT DISTINCT FROM (SELECT b FROM d.u) FROM d.t

SELECT a LIKE ALL (SELECT p FROM d.patterns), b IN UNNEST((SELECT arr FROM d.lists)) FROM d.t

SELECT NOT EXISTS(SELECT * FROM d.u), NOT a IN (SELECT a FROM d.v) FROM d.t

SELECT a << 1 | b & 3 ^ ~c, e >> 2, -(f) FROM d.t

SELECT CASE (SELECT a FROM d.a) WHEN (SELECT b FROM d.b) THEN (SELECT c FROM d.c) ELSE (SELECT e FROM d.e) END FROM d.t

SELECT LAG(a, 1, (SELECT z FROM d.z)) OVER w, NTH_VALUE(b, 2) OVER (w ROWS UNBOUNDED PRECEDING) FROM d.t WINDOW w AS (ORDER BY c)

SELECT PERCENTILE_CONT(a, 0.5) OVER (PARTITION BY b), APPROX_TOP_COUNT(c, 3) FROM d.t

SELECT COUNTIF(a IN (SELECT a FROM d.u)), LOGICAL_OR(b) FROM d.t

SELECT ARRAY_CONCAT_AGG(arr ORDER BY k LIMIT 2), ARRAY_TO_STRING(ARRAY_AGG(s), ',') FROM d.t

SELECT JSON_VALUE(j, '$.a'), j.a.b[0].c, JSON_QUERY_ARRAY(j, '$.x')[SAFE_OFFSET(1)] FROM d.t

SELECT * EXCEPT (a, b) FROM d.t

SELECT * REPLACE (a + (SELECT MAX(x) FROM d.u) AS a) FROM d.t

SELECT t.*, u.* EXCEPT (id), s.f.* FROM d.t t, d.u u, d.s s

SELECT STRUCT(1 AS a, 2 AS b).*, (SELECT AS STRUCT * FROM d.one).* EXCEPT (x)

SELECT AS VALUE x FROM UNNEST([1, 2]) x

SELECT ALL a FROM d.t

SELECT DISTINCT AS STRUCT a, b FROM d.t

SELECT a FROM d.t LIMIT @n OFFSET @m

SELECT a FROM d.t WHERE b = @from AND c = @`x`

SELECT @@session.x, @@y FROM d.t

SELECT f(a => 1, b => (SELECT x FROM d.t)), g(DISTINCT x) FROM d.u

SELECT ML.DISTANCE(a, b), ST_DWITHIN(c, e, 10) FROM d.t

SELECT * FROM ML.FORECAST(MODEL `p-1.d.m`, STRUCT(30 AS horizon)), d.t

SELECT * FROM ML.GENERATE_TEXT(MODEL d.m, (SELECT p AS prompt FROM d.prompts), STRUCT(TRUE AS flatten_json_output))

SELECT * FROM ML.TRAINING_INFO(MODEL d.m)

SELECT * FROM CHANGES(TABLE d.t, NULL, CURRENT_TIMESTAMP()) AS c, c.x

SELECT * FROM d.f(1), d.g((SELECT a FROM d.t)), d.t

SELECT * FROM f(TABLE d.t, d.x, 'a')

SELECT @{use_additional_parallelism=true} a FROM d.t@{force_index=x} JOIN @{join_type=hash} d.u ON TRUE

SELECT APPROX_QUANTILES(a, 10)[OFFSET(5)] FROM d.t TABLESAMPLE SYSTEM (5 PERCENT) AS s, s.arr

SELECT WITH DIFFERENTIAL_PRIVACY OPTIONS (epsilon = 1, delta = 0.1) a, COUNT(*) FROM d.t GROUP BY a

SELECT a FROM d.t FULL JOIN d.u USING (a) WHERE a IS NULL EXCEPT DISTINCT (SELECT a FROM d.v UNION DISTINCT SELECT a FROM d.w)

(SELECT a FROM d.t)

((SELECT a FROM d.t) UNION ALL (SELECT a FROM d.u)) ORDER BY 1

(WITH x AS (SELECT a FROM d.t) SELECT * FROM x) UNION ALL SELECT * FROM x

FROM d.t |> WHERE a > 1 |> SELECT a, b |> ORDER BY a |> LIMIT 3

FROM d.t AS t |> JOIN d.u USING (id) |> AGGREGATE SUM(x) AS s GROUP BY t.id |> WHERE s IN (SELECT s FROM d.v)

SELECT a FROM (FROM d.t |> EXTEND b + 1 AS c |> DROP b) |> UNION ALL (SELECT a FROM d.u)

WITH t AS (FROM d.s |> SET a = 1) FROM t |> AS u |> CROSS JOIN u.arr
