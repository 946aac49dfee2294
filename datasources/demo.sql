-- The demo's retail warehouse: 20 stores, 200 products, 500 customers and about 50,000 sales of 2024 and 2025.
-- Everything is computed from row numbers, so that each run makes the same data; people and numbers are made up.
-- Prices are multiples of 0.50, which a double holds exactly: sums have no rounding errors.

BEGIN;

-- 门店
CREATE TABLE stores (
  store_id  TEXT PRIMARY KEY,     -- 门店编码，S001 …
  name      TEXT NOT NULL,        -- 门店名称
  city      TEXT NOT NULL,        -- 城市
  region    TEXT NOT NULL,        -- 大区
  opened_on DATE NOT NULL,        -- 开业日期，YYYY-MM-DD
  active    BOOLEAN NOT NULL      -- 是否营业
);

INSERT INTO stores VALUES
  ('S001', '北京王府井店',   '北京', '华北', '2015-05-01', true),
  ('S002', '北京中关村店',   '北京', '华北', '2017-03-18', true),
  ('S003', '天津滨江道店',   '天津', '华北', '2018-09-30', true),
  ('S004', '石家庄万达店',   '石家庄', '华北', '2020-06-06', true),
  ('S005', '上海南京路店',   '上海', '华东', '2014-10-01', true),
  ('S006', '上海陆家嘴店',   '上海', '华东', '2016-04-29', true),
  ('S007', '杭州西湖店',     '杭州', '华东', '2016-12-24', true),
  ('S008', '南京新街口店',   '南京', '华东', '2017-08-08', true),
  ('S009', '苏州观前街店',   '苏州', '华东', '2019-01-20', true),
  ('S010', '广州天河店',     '广州', '华南', '2015-11-11', true),
  ('S011', '广州北京路店',   '广州', '华南', '2018-05-20', true),
  ('S012', '深圳福田店',     '深圳', '华南', '2016-07-16', true),
  ('S013', '深圳南山店',     '深圳', '华南', '2019-09-19', true),
  ('S014', '厦门中山路店',   '厦门', '华南', '2021-03-08', true),
  ('S015', '成都春熙路店',   '成都', '西南', '2017-01-01', true),
  ('S016', '重庆解放碑店',   '重庆', '西南', '2018-02-14', true),
  ('S017', '武汉江汉路店',   '武汉', '华中', '2019-05-04', true),
  ('S018', '长沙五一广场店', '长沙', '华中', '2020-10-01', true),
  ('S019', '西安钟楼店',     '西安', '西北', '2021-12-12', true),
  ('S020', '沈阳中街店',     '沈阳', '东北', '2022-08-18', false);

-- 商品
CREATE TABLE products (
  product_id TEXT PRIMARY KEY,          -- 商品编码，P0001 …
  name       TEXT NOT NULL,             -- 商品名称
  category   TEXT NOT NULL,             -- 品类
  price      DECIMAL(10,2) NOT NULL,    -- 单价，元
  attributes JSON NOT NULL              -- 属性：{"color", "weight_g", "tags"}
);

WITH RECURSIVE
  n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200),
  categories(id, category, items, base) AS (VALUES
    (0, '饮料', '["绿茶", "咖啡", "果汁", "矿泉水", "气泡水"]', 4),
    (1, '零食', '["坚果", "饼干", "海苔", "薯片", "巧克力"]', 9),
    (2, '日用', '["毛巾", "牙膏", "洗衣液", "纸巾", "雨伞"]', 15),
    (3, '服饰', '["T恤", "衬衫", "外套", "围巾", "帽子"]', 79),
    (4, '家电', '["台灯", "电水壶", "加湿器", "吹风机", "音箱"]', 129)),
  styles(id, style, color) AS (VALUES
    (0, '经典', '红'), (1, '轻盈', '白'), (2, '臻选', '黑'), (3, '活力', '绿'),
    (4, '都市', '灰'), (5, '自然', '米'), (6, '极简', '银'), (7, '节日', '金'))
INSERT INTO products
SELECT
  printf('P%04d', i),
  style || (items ->> ((i / 5) % 5)) || ' ' || printf('%d号', 1 + i / 40),
  category,
  base + (i * 37 % 41) * base / 16 * 0.5,
  json_object('color', color, 'weight_g', 50 + i * 73 % 950,
              'tags', json(CASE WHEN i % 7 = 0 THEN '["新品"]' WHEN i % 5 = 0 THEN '["热销", "会员价"]' ELSE '[]' END))
FROM n
JOIN categories ON categories.id = i % 5
JOIN styles ON styles.id = i % 8
ORDER BY i;

-- 客户（虚构）
CREATE TABLE dim_customer (
  customer_id TEXT PRIMARY KEY,    -- 客户编码，C00001 …
  name        TEXT NOT NULL,       -- 姓名
  phone       TEXT NOT NULL,       -- 手机号（虚构号段）
  id_card     TEXT NOT NULL,       -- 身份证号（行政区划 000000，不存在）
  email       TEXT,                -- 邮箱，可空
  level       TEXT NOT NULL        -- 会员等级：普通、银卡、金卡
);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO dim_customer
SELECT
  printf('C%05d', i),
  printf('客户%03d', i),
  printf('1000000%04d', i),
  printf('000000%04d%02d%02d%03dX', 1960 + i % 45, 1 + i % 12, 1 + i % 28, i),
  CASE WHEN i % 9 > 0 THEN printf('user%d@example.com', i) END,
  CASE WHEN i % 20 = 0 THEN '金卡' WHEN i % 5 = 0 THEN '银卡' ELSE '普通' END
FROM n;

-- 销售明细，一行一单
CREATE TABLE fact_sales (
  order_id    INTEGER PRIMARY KEY,       -- 订单号
  date        TEXT NOT NULL,             -- 销售日期，YYYY-MM-DD
  store_id    TEXT NOT NULL,             -- 门店编码
  product_id  TEXT NOT NULL,             -- 商品编码
  customer_id TEXT,                      -- 客户编码；非会员为空
  quantity    INTEGER NOT NULL,          -- 数量
  amount      DECIMAL(12,2) NOT NULL,    -- 金额，元
  channel     TEXT NOT NULL,             -- 渠道：store、app、mini_program、delivery
  created_at  DATETIME NOT NULL          -- 下单时间，YYYY-MM-DD HH:MM:SS
);

-- Weekends, the sales days of 18 June and 11 November, and the weeks around New Year sell more.
WITH RECURSIVE
  days(date) AS (SELECT '2024-01-01' UNION ALL SELECT date(date, '+1 day') FROM days WHERE date < '2025-12-31'),
  busy(date, orders) AS MATERIALIZED (
    SELECT date,
           62 + 16 * (strftime('%w', date) IN ('0', '6'))
              + 60 * (substr(date, 6) IN ('06-18', '11-11'))
              + 20 * (substr(date, 6, 2) = '01')
    FROM days),
  n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200),
  orders(id, date, minute) AS MATERIALIZED (    -- from 9:00 to 22:00
    SELECT row_number() OVER (ORDER BY date, i), date, 540 + i * 779 / orders FROM busy JOIN n ON i <= orders),
  mixed(id, date, minute, a, b, c) AS (         -- a, b, c: three numbers that look random
    SELECT id, date, minute,
           (id * 2654435761 + 40503) % 4294967296 / 4096,
           (id * 1597334677 + 69069) % 4294967296 / 4096,
           (id * 3266489917 + 12345) % 4294967296 / 4096
    FROM orders)
INSERT INTO fact_sales
SELECT
  id, mixed.date,
  printf('S%03d', 1 + min(a % 20, b % 31)),
  product_id,
  CASE WHEN c % 10 < 7 THEN printf('C%05d', 1 + (a + c) % 500) END,
  1 + c / 10 % 4,
  price * (1 + c / 10 % 4),
  CASE WHEN b % 10 < 5 THEN 'store' WHEN b % 10 < 7 THEN 'app' WHEN b % 10 < 9 THEN 'mini_program' ELSE 'delivery' END,
  mixed.date || printf(' %02d:%02d:%02d', minute / 60, minute % 60, a % 60)
FROM mixed
JOIN products ON product_id = printf('P%04d', 1 + (a / 20 + b) % 200);

CREATE INDEX fact_sales_by_date ON fact_sales (date, store_id, amount);
CREATE INDEX fact_sales_by_store ON fact_sales (store_id, date);
CREATE INDEX fact_sales_by_product ON fact_sales (product_id, date);
CREATE INDEX fact_sales_by_customer ON fact_sales (customer_id, date);

COMMIT;

ANALYZE;
