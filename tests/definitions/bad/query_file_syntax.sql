SELECT a,
  b
FORM t
WHERE c = 1
