SELECT id, email FROM shop.customers WHERE id > 10 ORDER BY email LIMIT 5

SELECT * FROM `proj-1.shop.customers` AS c JOIN `proj-1`.shop.orders o ON c.id = o.customer_id

SELECT c.* EXCEPT (email) REPLACE (UPPER(name) AS name) FROM shop.customers c

SELECT DISTINCT status, COUNT(*) AS n FROM shop.orders GROUP BY status HAVING n > 1

SELECT a.x, b.y FROM d.a, d.b WHERE a.id = b.id

SELECT s.v FROM d.a a JOIN d.b b ON a.id = b.id, hr.salaries s

SELECT t FROM d.orders o, o.items t

SELECT item.sku FROM shop.orders AS o, UNNEST(o.items) AS item WITH OFFSET AS nth

SELECT i FROM shop.orders o LEFT JOIN UNNEST(o.items) i

SELECT x FROM UNNEST([1, 2, 3]) AS x

SELECT (SELECT MAX(v) FROM o.values v) FROM shop.orders o

SELECT ARRAY(SELECT AS STRUCT i.sku, i.qty FROM o.items i WHERE i.qty > 0) FROM shop.orders o

SELECT d.id FROM d.d, d.d.d

SELECT a FROM shop.a AS shop, shop.b

SELECT b FROM shop.customers shop, shop.orders, orders.lines

WITH c AS (SELECT * FROM shop.customers) SELECT * FROM c

WITH customers AS (SELECT 1 AS id) SELECT * FROM customers, shop.customers

WITH a AS (SELECT * FROM d.a), b AS (SELECT * FROM a) SELECT * FROM b JOIN a USING (id)

WITH a AS (SELECT * FROM a) SELECT * FROM a

WITH a AS (WITH b AS (SELECT * FROM d.c) SELECT * FROM b) SELECT * FROM a, b

WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT n FROM r

WITH RECURSIVE tree AS (SELECT id, parent FROM d.nodes WHERE parent IS NULL UNION ALL SELECT n.id, n.parent FROM d.nodes n JOIN tree t ON n.parent = t.id), leaf AS (SELECT * FROM tree) SELECT * FROM leaf

WITH `d.t` AS (SELECT 1 AS a) SELECT * FROM `d.t`

WITH t AS (SELECT [1, 2] AS arr) SELECT e FROM t, t.arr e

SELECT * FROM (WITH x AS (SELECT a FROM d.s) SELECT a FROM x) AS x

SELECT EXISTS(SELECT 1 FROM hr.salaries s WHERE s.employee_id = c.id) AS has FROM shop.customers c

SELECT id IN (SELECT customer_id FROM shop.orders) FROM shop.customers

SELECT id FROM shop.customers WHERE email IN UNNEST(ARRAY(SELECT email FROM shop.leads))

SELECT * FROM shop.customers WHERE (SELECT COUNT(*) FROM shop.orders o WHERE o.customer_id = customers.id) > 3

SELECT ANY_VALUE(email HAVING MAX id), ARRAY_AGG(DISTINCT name IGNORE NULLS ORDER BY name LIMIT 3) FROM shop.customers

SELECT id, ROW_NUMBER() OVER (PARTITION BY name ORDER BY id DESC) AS rn FROM shop.customers QUALIFY rn = 1

SELECT SUM(amount) OVER w FROM shop.orders WINDOW w AS (PARTITION BY customer_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)

SELECT * FROM shop.orders QUALIFY RANK() OVER (ORDER BY (SELECT MAX(salary) FROM hr.salaries)) = 1

SELECT * FROM d.a UNION ALL SELECT * FROM d.b

(SELECT a FROM d.a EXCEPT DISTINCT SELECT a FROM d.b) INTERSECT DISTINCT SELECT a FROM d.c ORDER BY a LIMIT 3

SELECT a FROM d.a UNION ALL (SELECT b FROM d.b ORDER BY b LIMIT 1)

SELECT * FROM (SELECT a FROM d.a) JOIN (SELECT a FROM d.b) USING (a)

SELECT * FROM (d.a JOIN d.b USING (id)) LEFT JOIN d.c USING (id)

SELECT * FROM d.a JOIN d.b JOIN d.c ON b.id = c.id ON a.id = b.id

SELECT * FROM d.a CROSS JOIN d.b FULL OUTER JOIN d.c USING (k) RIGHT JOIN d.e ON TRUE

SELECT * FROM d.sales PIVOT(SUM(amount) AS s FOR quarter IN ('Q1' AS q1, 'Q2' AS q2))

SELECT * FROM (SELECT a, b FROM d.s) AS p PIVOT(MAX(a) FOR b IN (1, 2)) AS q

SELECT * FROM d.wide UNPIVOT(v FOR k IN (a, b, c)) AS u

SELECT * FROM d.wide UNPIVOT INCLUDE NULLS((v, w) FOR k IN ((a, b) AS 'x', (c, e) AS 'y'))

SELECT * FROM d.t TABLESAMPLE SYSTEM (10 PERCENT)

SELECT * FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR) AS past

SELECT * FROM `d.events_*` WHERE _TABLE_SUFFIX BETWEEN '20240101' AND '20240131'

SELECT * FROM region-us.INFORMATION_SCHEMA.TABLES

SELECT table_name FROM shop.INFORMATION_SCHEMA.COLUMNS WHERE column_name LIKE '%mail%'

SELECT AS STRUCT id, email FROM shop.customers

SELECT AS VALUE STRUCT(c.id AS id, c AS whole) FROM shop.customers c

SELECT TO_JSON_STRING(c) FROM shop.customers c

SELECT c FROM shop.customers AS c

SELECT STRUCT<a INT64, b STRING>(1, 'x') AS s, ARRAY<STRUCT<x INT64>>[STRUCT(1)] AS r

SELECT [STRUCT(id AS k, name AS v)][OFFSET(0)].k FROM shop.customers

SELECT CASE WHEN id = 1 THEN email WHEN id IN (2, 3) THEN name ELSE NULL END FROM shop.customers

SELECT CASE id WHEN 1 THEN (SELECT a FROM d.x) ELSE (SELECT b FROM d.y) END FROM shop.customers

SELECT IF(EXISTS(SELECT * FROM d.a), (SELECT b FROM d.b), (SELECT c FROM d.c)) AS v

SELECT CAST(id AS STRING), SAFE_CAST(name AS INT64), EXTRACT(YEAR FROM created AT TIME ZONE 'UTC') FROM shop.customers

SELECT EXTRACT(DAY FROM (SELECT MAX(day) FROM d.calendar))

SELECT CAST((SELECT a FROM d.t LIMIT 1) AS STRING FORMAT 'YYYY')

SELECT INTERVAL (SELECT n FROM d.t) DAY, DATE '2024-01-01', TIMESTAMP "2024-01-01", NUMERIC '1.5', JSON '{"a": 1}'

SELECT 'it''s', "double", '''three ' quotes''', """three " quotes""", r'\raw', b'bytes', rb"\both" FROM d.t

SELECT '-- no comment', /* a comment */ a -- another
FROM d.t # and one more

SELECT '/* no */', a /* FROM d.hidden */ FROM d.shown

SELECT '''x' FROM d.hidden -- ''', a FROM d.shown

SELECT r'a\\', b FROM d.t WHERE c = 'it\'s'

SELECT `select`, `from` FROM `my-project`.`data set`.`ta ble`

SELECT a FROM my-project.d.t

SELECT a FROM my-project-2.d.t_2024 AS t, t.arr

SELECT a FROM d.t AS `t`, `t`.b

SELECT @name AS n, * FROM d.t WHERE id = @id AND x IN UNNEST(@list)

SELECT ? AS p FROM d.t WHERE a = ?

SELECT * FROM ML.PREDICT(MODEL shop.churn, (SELECT * FROM shop.customers), STRUCT(0.5 AS threshold))

SELECT * FROM ML.EVALUATE(MODEL `shop.churn`, TABLE shop.customers)

SELECT * FROM EXTERNAL_QUERY('us.conn', 'SELECT * FROM secrets')

SELECT * FROM shop.by_country('NL', TABLE shop.customers)

SELECT shop.normalise(email) FROM shop.customers

SELECT * FROM APPENDS(TABLE shop.orders, NULL, NULL)

SELECT * FROM VECTOR_SEARCH(TABLE shop.vectors, 'v', (SELECT v FROM shop.questions), top_k => 3)

SELECT ARRAY_FILTER(tags, t -> t LIKE 'a%') FROM shop.customers

SELECT ARRAY_TRANSFORM(tags, (t, i) -> CONCAT(t, (SELECT MAX(x) FROM d.s))) FROM shop.customers

SELECT a FROM d.t WHERE b BETWEEN (SELECT MIN(x) FROM d.lo) AND (SELECT MAX(x) FROM d.hi)

SELECT a FROM d.t WHERE b LIKE ANY ('x%', 'y%') AND c NOT IN (1, 2) AND d IS NOT DISTINCT FROM e

SELECT a FROM d.t GROUP BY ROLLUP(a, b)

SELECT a, GROUPING(a) FROM d.t GROUP BY GROUPING SETS ((a), (b), CUBE(a, b), ())

SELECT a, SUM(b) FROM d.t GROUP BY ALL ORDER BY 2 DESC NULLS LAST LIMIT 10 OFFSET 5

SELECT STRING_AGG(name, ', ' ORDER BY id LIMIT 2) FROM shop.customers

SELECT COUNT(DISTINCT IF(a > 0, b, NULL)) FROM d.t WHERE TRUE

SELECT FIRST_VALUE(a IGNORE NULLS) OVER (ORDER BY b RANGE BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING) FROM d.t

SELECT t.arr[SAFE_OFFSET(0)].x.y, t.j.a.b[0], t.j['k'] FROM d.t t

SELECT DATE_TRUNC(day, MONTH), DATE_DIFF(a, b, DAY), FORMAT('%t', t) FROM d.t AS t

SELECT GENERATE_ARRAY(1, (SELECT MAX(n) FROM d.numbers))

SELECT * FROM UNNEST((SELECT arr FROM d.t)) AS e

SELECT * FROM UNNEST(GENERATE_DATE_ARRAY('2024-01-01', '2024-02-01')) AS day LEFT JOIN d.sales USING (day)

SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')])

SELECT x.a.b.c FROM d.t x, x.a y, y.b z, UNNEST(z.c)

SELECT * FROM d.t, t.a, a.b, b.c

SELECT * FROM d, d.t

SELECT t.* FROM d.t, d.t AS u, (SELECT * FROM d.t) AS v

SELECT (a, b) = (SELECT AS STRUCT x, y FROM d.u) FROM d.t

SELECT 1 FROM d.a WHERE EXISTS(SELECT 1 FROM a.arr x WHERE x IN (SELECT y FROM d.b))

SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM d.deep)))

SELECT * FROM d.t WHERE a = ANY_VALUE(b) OVER () OR NOT (b AND c) AND -d <> +e || ~f

SELECT SAFE.SUBSTR(name, 1, 2), NET.HOST(url), HLL_COUNT.EXTRACT(s), KEYS.NEW_KEYSET('x') FROM d.t

SELECT `safe`.`f`(a), f(TABLE d.t), f(MODEL d.m) FROM d.t
