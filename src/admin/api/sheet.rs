//! `…/{code}/sheet`: an interface as a sheet for people, with its basic information, parameters and fields.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::collections::HashMap;

use super::envelope::failure;
use crate::admin::Admin;
use crate::definitions::snapshot::Interface;
use crate::engines::Cell;
use crate::gateway::headers::Headers;
use crate::gateway::messages::Language;
use crate::gateway::negotiate::language;
use crate::observe::code::Code;
use crate::query::encode::Format;
use crate::query::xlsx::{CellStyle, HeaderCell, XlsxError, XlsxWriter};

/// Heads of the columns.
const HEADS: [[&str; 2]; 8] = [
    ["Section", "分区"],
    ["Code", "编码"],
    ["Name", "名称"],
    ["Place", "位置"],
    ["Type", "类型"],
    ["Required", "必填"],
    ["Default", "默认值"],
    ["Description", "说明"],
];
const BASIC: [&str; 2] = ["Basic information", "基本信息"];
const INPUT: [&str; 2] = ["Input parameter", "输入参数"];
const OUTPUT: [&str; 2] = ["Output field", "输出字段"];
/// What is told of an interface itself.
const MEMBERS: [(&str, [&str; 2]); 14] = [
    ("code", ["Code", "接口编码"]),
    ("name", ["Name", "接口名称"]),
    ("description", ["Description", "接口描述"]),
    ("version", ["Version", "版本"]),
    ("status", ["Status", "状态"]),
    ("path", ["Address", "接口地址"]),
    ("method", ["Method", "请求方法"]),
    ("datasource_id", ["Datasource", "数据源"]),
    ("query_type", ["Kind of query", "查询类型"]),
    ("query_template", ["Query", "查询模板"]),
    ("owner", ["Owner", "负责人"]),
    ("tags", ["Tags", "标签"]),
    ("visibility", ["Visibility", "可见性"]),
    ("timeout_ms", ["Timeout, ms", "超时（毫秒）"]),
];

/// Gives the sheet.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let generation = admin.gateway.live.current();
    let version = query.get("version").map(String::as_str);
    let Some(interface) = generation.snapshot.find(&code, version) else {
        return failure(Code::NotFound, "There is no such interface.");
    };
    let at = usize::from(language(Headers::of(&headers)) == Language::Zh);
    match workbook(interface, at) {
        Ok(bytes) => {
            let file = format!("attachment; filename=\"{}.xlsx\"", interface.code);
            let headers =
                [(CONTENT_TYPE, Format::Xlsx.media_type().to_owned()), (CONTENT_DISPOSITION, file)];
            (headers, bytes).into_response()
        }
        Err(error) => failure(Code::InternalError, &error.to_string()),
    }
}

/// The workbook, in the language `at`.
fn workbook(interface: &Interface, at: usize) -> Result<Vec<u8>, XlsxError> {
    let heads: Vec<HeaderCell> = HEADS.iter().map(|head| HeaderCell::new(head[at])).collect();
    let sheet = interface.name.as_deref().unwrap_or(&interface.code);
    let mut writer = XlsxWriter::new(sheet, &heads)?;
    let mut row = |cells: [&str; HEADS.len()]| {
        writer.begin_row()?;
        for cell in cells {
            writer.cell(&Cell::Text(cell), CellStyle::default());
        }
        writer.end_row()
    };
    let definition = super::interfaces::definition(interface);
    for (key, label) in MEMBERS {
        if let Some(value) = definition.get(key) {
            row([BASIC[at], key, label[at], "", "", "", "", &text(value)])?;
        }
    }
    let list =
        |key: &str| definition.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for parameter in list("parameters") {
        let of = |key: &str| parameter.get(key).map(text).unwrap_or_default();
        row([
            INPUT[at],
            &of("name"),
            &of("title"),
            &of("in"),
            &of("type"),
            &of("required"),
            &of("default"),
            &of("description"),
        ])?;
    }
    for field in list("fields") {
        let of = |key: &str| field.get(key).map(text).unwrap_or_default();
        row([
            OUTPUT[at],
            &of("name"),
            &of("title"),
            &of("group"),
            &of("type"),
            "",
            "",
            &of("description"),
        ])?;
    }
    writer.finish()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
