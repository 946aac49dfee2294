-- all of it
SELECT *
FROM t
