-- 每日销售
SELECT 金额, :end_date
FROM fact
WHERE 日期 > :start_date AND 门店 = ':store'
  AND x = :startDat
