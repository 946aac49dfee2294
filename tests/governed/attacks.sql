-- Queries that try to see what their caller may not. One a line; `[pg]`, `[my]` or `[lite]` before a query names the engine that
-- it is for. What is seen must be what the same query sees in tables that hold nothing else; with a `!` it must be refused.
SELECT * FROM dim_customer
SELECT * FROM fact_sales
SELECT id, name, phone FROM dim_customer ORDER BY id
SELECT c.* FROM dim_customer c
SELECT c.* FROM dim_customer AS c ORDER BY c.phone
SELECT dim_customer.* FROM dim_customer
SELECT id_card FROM dim_customer
SELECT c.id_card FROM dim_customer c
SELECT dim_customer.id_card FROM dim_customer
SELECT id_card AS name FROM dim_customer
SELECT MAX(id_card) AS m FROM dim_customer
SELECT COUNT(id_card) AS m FROM dim_customer
SELECT COUNT(DISTINCT id_card) AS m FROM dim_customer
SELECT id FROM dim_customer ORDER BY id_card
SELECT id FROM dim_customer WHERE id_card LIKE 'SECRET-1%'
SELECT id FROM dim_customer WHERE id_card = 'SECRET-110101'
SELECT id FROM dim_customer WHERE id_card IS NOT NULL
SELECT COUNT(*) AS n FROM dim_customer GROUP BY id_card
SELECT id FROM dim_customer GROUP BY id HAVING MAX(id_card) > 'SECRET'
SELECT id, ROW_NUMBER() OVER (ORDER BY id_card) AS r FROM dim_customer
SELECT id, LAG(id_card) OVER (ORDER BY id) AS r FROM dim_customer
SELECT id, CASE WHEN id_card LIKE 'SECRET-1%' THEN 1 ELSE 0 END AS hit FROM dim_customer
SELECT id FROM dim_customer WHERE COALESCE(id_card, 'x') <> 'x'
SELECT id, name FROM dim_customer UNION SELECT id, id_card FROM dim_customer
SELECT id, name FROM dim_customer UNION ALL SELECT id, phone FROM dim_customer
SELECT id FROM dim_customer EXCEPT SELECT id FROM dim_customer WHERE phone = '13800000001'
SELECT id FROM dim_customer INTERSECT SELECT id FROM dim_customer WHERE phone LIKE '138%'
SELECT id FROM dim_customer WHERE phone = '13800000001'
SELECT id FROM dim_customer WHERE phone LIKE '138%'
SELECT id FROM dim_customer WHERE phone LIKE '****%'
SELECT id FROM dim_customer WHERE phone IN ('13800000001', '13800000002')
SELECT id FROM dim_customer WHERE phone BETWEEN '138' AND '139'
SELECT id FROM dim_customer WHERE LENGTH(phone) = 11
SELECT id FROM dim_customer WHERE SUBSTR(phone, 1, 3) = '138'
SELECT phone, COUNT(*) AS n FROM dim_customer GROUP BY phone
SELECT MIN(phone) AS a, MAX(phone) AS b FROM dim_customer
SELECT id FROM dim_customer ORDER BY phone DESC, id
SELECT a.id AS a, b.id AS b FROM dim_customer a JOIN dim_customer b ON a.phone = b.phone
SELECT a.id FROM dim_customer a WHERE a.phone > (SELECT MIN(b.phone) FROM dim_customer b)
SELECT id FROM dim_customer WHERE EXISTS (SELECT 1 FROM dim_customer d WHERE d.id = dim_customer.id AND d.phone LIKE '138%')
WITH c AS (SELECT * FROM dim_customer) SELECT * FROM c
WITH c AS (SELECT id_card FROM dim_customer) SELECT * FROM c
WITH dim_customer AS (SELECT * FROM dim_customer WHERE id > 0) SELECT * FROM dim_customer
WITH fact_sales AS (SELECT 1 AS id) SELECT * FROM fact_sales
WITH x AS (SELECT * FROM fact_sales), y AS (SELECT * FROM x) SELECT COUNT(*) AS n FROM y
WITH x AS (WITH fact_sales AS (SELECT 7 AS id) SELECT * FROM fact_sales) SELECT * FROM x
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i, (SELECT COUNT(*) FROM fact_sales) AS c FROM n
WITH secret AS (SELECT * FROM fact_sales) SELECT * FROM secret
WITH a AS (SELECT * FROM secret) SELECT * FROM a
SELECT * FROM (SELECT * FROM dim_customer) AS d
SELECT d.id_card FROM (SELECT * FROM dim_customer) AS d
SELECT * FROM (SELECT * FROM (SELECT * FROM fact_sales) AS a) AS b ORDER BY id
SELECT (SELECT MAX(id_card) FROM dim_customer) AS m
SELECT (SELECT MAX(amount) FROM fact_sales) AS m
SELECT (SELECT COUNT(*) FROM fact_sales f WHERE f.customer_id = c.id) AS n, c.id FROM dim_customer c
SELECT COUNT(*) AS n FROM fact_sales
SELECT COUNT(*) AS n, SUM(amount) AS s, MIN(amount) AS a, MAX(amount) AS b FROM fact_sales
SELECT region, COUNT(*) AS n FROM fact_sales GROUP BY region
SELECT DISTINCT region FROM fact_sales
SELECT * FROM fact_sales WHERE region = 'west'
SELECT * FROM fact_sales WHERE region = 'west' OR 1 = 1
SELECT * FROM fact_sales WHERE region <> 'east' OR region IS NULL
SELECT * FROM fact_sales f WHERE NOT (f.region = 'east')
SELECT id FROM fact_sales WHERE note LIKE '%HIDDEN%'
SELECT note FROM fact_sales
SELECT * FROM fact_sales UNION ALL SELECT * FROM fact_sales
SELECT f.id, c.name FROM fact_sales f JOIN dim_customer c ON c.id = f.customer_id
SELECT f.id, c.name FROM fact_sales f LEFT JOIN dim_customer c ON c.id = f.customer_id AND c.phone LIKE '138%'
SELECT f.id, c.name FROM dim_customer c LEFT JOIN fact_sales f ON c.id = f.customer_id
SELECT f.id, c.id AS c FROM dim_customer c LEFT JOIN fact_sales f ON f.region = 'west'
SELECT c.id FROM dim_customer c WHERE c.id NOT IN (SELECT customer_id FROM fact_sales)
SELECT c.id FROM dim_customer c WHERE c.id IN (SELECT customer_id FROM fact_sales WHERE region = 'west')
SELECT id FROM dim_customer NATURAL JOIN (SELECT id FROM fact_sales) AS f
SELECT f.id FROM fact_sales f CROSS JOIN (SELECT 1 AS one) AS o
SELECT x.id FROM (fact_sales x JOIN dim_customer y ON x.customer_id = y.id)
SELECT * FROM secret
SELECT word FROM secret WHERE id = 1
SELECT id FROM dim_customer WHERE name IN (SELECT word FROM secret)
SELECT id, (SELECT word FROM secret WHERE secret.id = dim_customer.id) AS w FROM dim_customer
SELECT id FROM dim_customer WHERE EXISTS (SELECT 1 FROM secret)
SELECT 1 AS one FROM dim_customer, secret
SELECT id, name FROM dim_customer UNION SELECT id, word FROM secret
SELECT COUNT(*) AS n FROM fact_sales WHERE 1 / (amount - 20.50) > -1000000
SELECT id FROM fact_sales WHERE CAST(amount AS CHAR(20)) LIKE '%.%'
SELECT id FROM fact_sales ORDER BY CASE WHEN region = 'west' THEN 0 ELSE 1 END, id
SELECT SUM(CASE WHEN region = 'west' THEN amount ELSE 0 END) AS west FROM fact_sales
SELECT id, SUM(amount) OVER () AS total FROM fact_sales
SELECT id, COUNT(*) OVER (PARTITION BY customer_id) AS n FROM fact_sales
SELECT id, RANK() OVER (ORDER BY amount DESC) AS r FROM fact_sales
SELECT FIRST_VALUE(region) OVER (ORDER BY amount DESC) AS r FROM fact_sales
SELECT COALESCE(MAX(amount), -1) AS m FROM fact_sales WHERE region = 'west'
SELECT id FROM fact_sales LIMIT 100 OFFSET 1
SELECT UPPER(name) AS n, LOWER(phone) AS p FROM dim_customer
SELECT id AS phone, phone AS id FROM dim_customer
SELECT round(id/2,1),COUNT( * ) , SUBSTR(name,1,2) FROM dim_customer GROUP BY id, name
SELECT id+1, dim_customer.*, upper( name )||'x' FROM dim_customer
SELECT SUM(amount)*2, MAX( region ) FROM fact_sales UNION ALL SELECT 1, 'x'
SELECT "id" FROM "dim_customer" WHERE "region" = 'east'
[my] SELECT `id`, `phone` FROM `dim_customer`
[my] SELECT `id_card` FROM `dim_customer`
[my] SELECT ID_CARD FROM dim_customer
[my] SELECT c.Phone FROM dim_customer c WHERE c.ID > 0
[lite] SELECT [id_card] FROM [dim_customer]
[lite] SELECT `id_card` FROM `dim_customer`
[lite] SELECT ID_CARD, PHONE FROM DIM_CUSTOMER
[lite] SELECT PHONE FROM DIM_CUSTOMER
[lite] SELECT main.dim_customer.phone FROM main.dim_customer
[lite] SELECT * FROM main.secret
[lite!] SELECT sql FROM sqlite_master
[lite!] SELECT sql FROM main.sqlite_schema
[lite!] SELECT * FROM pragma_table_info('dim_customer')
[lite!] SELECT * FROM pragma_table_list
[lite!] SELECT rowid, id FROM dim_customer
[lite] SELECT * FROM json_each('[1,2]')
[lite] SELECT load_extension('x') AS x
[pg] SELECT Phone FROM Dim_Customer
[pg] SELECT "phone" FROM "public"."dim_customer"
[pg] SELECT public.dim_customer.phone FROM public.dim_customer
[pg] SELECT public.dim_customer.* FROM public.dim_customer
[pg] SELECT "Phone" FROM dim_customer
[pg] SELECT dim_customer FROM dim_customer
[pg] SELECT to_json(dim_customer) AS j FROM dim_customer
[pg] SELECT row_to_json(c) AS j FROM dim_customer c
[pg] SELECT (c).phone FROM dim_customer c
[pg] SELECT (c).id_card FROM dim_customer c
[pg] SELECT id_card(c) AS x FROM dim_customer c
[pg] SELECT json_agg(c) AS j FROM dim_customer c
[pg] SELECT c::text AS t FROM dim_customer c
[pg] SELECT string_agg(phone, ',' ORDER BY id) AS p FROM dim_customer
[pg] SELECT array_agg(amount ORDER BY id) AS p FROM fact_sales
[pg] SELECT l.* FROM dim_customer c, LATERAL (SELECT * FROM fact_sales f WHERE f.customer_id = c.id) AS l
[pg] SELECT l.id_card FROM dim_customer c CROSS JOIN LATERAL (SELECT c.id_card) AS l
[pg!] SELECT ctid FROM dim_customer
[pg!] SELECT tableoid FROM dim_customer
[pg!] SELECT xmin FROM dim_customer
[pg!] SELECT * FROM ONLY dim_customer
[pg] TABLE dim_customer
[pg!] SELECT id FROM dim_customer WHERE id = 1 EXCEPT TABLE untouched
[pg] SELECT "LOWER"(name) AS x FROM dim_customer
[pg] SELECT * FROM dim_customer TABLESAMPLE SYSTEM (100)
[pg] SELECT * FROM dim_customer AS c(a, b, c, d, e)
[pg!] SELECT most_common_vals FROM pg_stats WHERE tablename = 'dim_customer'
[pg!] SELECT relname FROM pg_class WHERE relname = 'secret'
[pg!] SELECT relname FROM pg_catalog.pg_class WHERE relname = 'secret'
[pg!] SELECT column_name FROM information_schema.columns WHERE table_name = 'dim_customer'
[pg!] SELECT rolname FROM pg_roles WHERE rolname IS NOT NULL
[pg!] SELECT query FROM pg_stat_activity WHERE query IS NOT NULL
[pg] SELECT query_to_xml('SELECT * FROM secret', true, true, '') AS x
[pg] SELECT table_to_xml('secret', true, true, '') AS x
[pg] SELECT reveal(1) AS x
[pg] SELECT public.reveal(1) AS x
[pg] SELECT * FROM reveal_rows() AS r
[pg] SELECT * FROM dim_customer WHERE name = reveal(1)
[pg] SELECT id FROM dim_customer ORDER BY reveal(id)
[pg] SELECT (1).reveal AS x
[pg] SELECT id, (id).reveal AS x FROM fact_sales
[pg] SELECT f.peek FROM fact_sales f
[pg] SELECT d.peek_any FROM (SELECT * FROM fact_sales) AS d
[pg] SELECT c.peek_any FROM dim_customer c ORDER BY c.peek_any
[pg] SELECT fact_sales.peek FROM public.fact_sales
[pg] SELECT initcap(1) AS x
[pg!] SELECT initcap(name) AS x FROM dim_customer
[pg] SELECT ((SELECT 1)).reveal AS x
[pg] SELECT f.id::int4 AS i, f.region AS r FROM fact_sales f
[pg] SELECT d.total FROM (SELECT SUM(amount) AS total FROM fact_sales) AS d
[pg] SELECT pg_relation_size('secret') AS x
[pg] SELECT currval('secret_seq') AS x
[pg] SELECT id FROM dim_customer WHERE phone SIMILAR TO '138%'
[pg] SELECT id FROM dim_customer WHERE phone ~ '^138'
[pg] SELECT id FROM dim_customer WHERE phone ILIKE '138%'
[pg] SELECT DISTINCT ON (region) id FROM fact_sales ORDER BY region, id
[pg] SELECT id FROM fact_sales FETCH FIRST 10 ROWS ONLY
[pg] SELECT id FROM fact_sales WHERE amount = ANY (SELECT amount FROM fact_sales WHERE region = 'west')
[pg] SELECT region, GROUPING(region) AS g, COUNT(*) AS n FROM fact_sales GROUP BY ROLLUP (region)
[pg] SELECT COUNT(*) FILTER (WHERE region = 'west') AS n FROM fact_sales
[pg] SELECT id FROM fact_sales WHERE (id, region) IN (SELECT id, region FROM fact_sales)
[pg] WITH RECURSIVE t AS (SELECT id FROM dim_customer WHERE id = 1 UNION ALL SELECT c.id FROM dim_customer c JOIN t ON c.id = t.id + 1) SELECT * FROM t
[pg] SELECT * FROM (VALUES (1), (2)) AS v(i) WHERE i IN (SELECT id FROM fact_sales)
[pg] SELECT id, EXTRACT(YEAR FROM sold_on) AS y FROM fact_sales
[pg] SELECT d.d::date AS d, COUNT(f.id) AS n FROM generate_series(DATE '2025-01-01', DATE '2025-01-03', INTERVAL '1 day') AS d(d) LEFT JOIN fact_sales f ON f.sold_on = d.d::date GROUP BY d.d
[my] SELECT GROUP_CONCAT(phone) AS p FROM dim_customer
[my!] SELECT * FROM information_schema.columns WHERE table_name = 'dim_customer'
[my!] SELECT * FROM mysql.user WHERE user = 'root'
[my] SELECT id FROM dim_customer WHERE phone REGEXP '^138'
[my] SELECT id FROM dim_customer WHERE phone RLIKE '^138'
[my] SELECT reveal(1) AS x
[my] SELECT STRAIGHT_JOIN f.id FROM fact_sales f JOIN dim_customer c ON c.id = f.customer_id
[my] SELECT id FROM dim_customer USE INDEX (PRIMARY) WHERE id > 0
[my] SELECT id FROM fact_sales WHERE amount <=> 20.50
[my] SELECT 1 AS one FROM dual
[my] SELECT DATE_FORMAT(sold_on, '%Y') AS y, COUNT(*) AS n FROM fact_sales GROUP BY DATE_FORMAT(sold_on, '%Y')
[my] SELECT id, IF(region = 'west', 1, 0) AS w FROM fact_sales
[my] SELECT id FROM fact_sales ORDER BY IF(region = 'west', 0, 1), id
[my] SELECT JSON_ARRAYAGG(phone) AS p FROM dim_customer
WITH secret AS (SELECT 'c' AS word) SELECT * FROM (WITH secret AS (SELECT word FROM secret) SELECT * FROM secret) AS y
WITH secret AS (SELECT 'c' AS word) SELECT * FROM (WITH x AS (SELECT word FROM secret), secret AS (SELECT 'd' AS word) SELECT * FROM x) AS y
WITH secret AS (SELECT 'c' AS word) SELECT (WITH secret AS (SELECT word FROM secret) SELECT MAX(word) FROM secret) AS w
WITH a AS (SELECT 1 AS id), b AS (SELECT id FROM a) SELECT b.id, a.id AS a FROM b JOIN a ON a.id = b.id
[my] SELECT w FROM `dual` WHERE id = 1
[my!] SELECT @@datadir AS d
[my!] SELECT @@global.hostname AS d
[pg!] SELECT 16384::regclass::text AS t
[pg!] SELECT CAST('dim_customer' AS regclass)::text AS t
[lite] SELECT body FROM ft WHERE body MATCH 'title:SECRET*'
[pg!] SELECT f.pg_get_viewdef AS v FROM unnest(ARRAY['dim_customer']) AS f
[pg!] SELECT f.pg_stat_get_activity AS v FROM generate_series(1, 100) AS f
[pg!] SELECT f.current_setting AS v FROM unnest(ARRAY['data_directory']) AS f
[pg] SELECT c.name, c.region, c.birth FROM dim_customer c
[pg] SELECT d.date, d.version FROM (SELECT sold_on AS date, 1 AS version FROM fact_sales) AS d
[pg] SELECT d.name, d.text, d.time FROM (SELECT region AS name, region AS text, 1 AS time FROM dim_customer) AS d
