-- :not_a_name, since it is a comment
SELECT a FROM t
WHERE a = :a; -- the end
