//! What people read: every message in English and Chinese. Codes never change with the language.

use crate::definitions::fault::Fault;
use crate::definitions::spec::interface::ParamType;

/// Languages of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    #[default]
    En,
    Zh,
}

/// What an answer says in words.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    NoInterface,
    NoVersion(String),
    MethodNotAllowed(&'static str),
    AddressNotAllowed,
    OriginNotAllowed,
    MissingCredentials,
    MalformedCredentials,
    BadCredentials,
    NotGranted,
    DataNotGranted,
    MissingClaim(String),
    RateLimited(u64),
    TooManyFailures(u64),
    InvalidParameters,
    UnfitValue,
    RefusedByParameters,
    MalformedRequest,
    MalformedQuery,
    TooManyParameters,
    MalformedJson,
    TooDeep,
    BodyTooLarge(usize),
    BodyTimeout,
    UnsupportedMedia,
    HeadersTooLarge,
    UnknownFormat,
    DatasourceFailed,
    DatasourceBusy,
    Timeout,
    SchemaMismatch,
    Internal,
    Draining,
    Overloaded,
}

/// `message` of an answer that is well.
pub fn ok(language: Language) -> &'static str {
    match language {
        Language::En => "OK",
        Language::Zh => "成功",
    }
}

impl Message {
    /// The text in a language.
    pub fn text(&self, language: Language) -> String {
        let (en, zh) = self.texts();
        match language {
            Language::En => en,
            Language::Zh => zh,
        }
    }

    fn texts(&self) -> (String, String) {
        let pair = |en: &str, zh: &str| (en.to_owned(), zh.to_owned());
        match self {
            Self::NoInterface => pair("There is no interface at this address.", "该地址没有接口。"),
            Self::NoVersion(version) => (
                format!("The interface has no version {version}."),
                format!("该接口没有版本 {version}。"),
            ),
            Self::MethodNotAllowed(allowed) => (
                format!("The interface answers {allowed} only."),
                format!("该接口只接受 {allowed} 请求。"),
            ),
            Self::AddressNotAllowed => {
                pair("Calls from this address are not allowed.", "不允许从该地址调用。")
            }
            Self::OriginNotAllowed => {
                pair("Calls from this origin are not allowed.", "不允许从该来源跨域调用。")
            }
            Self::MissingCredentials => pair(
                "The interface needs credentials: send X-API-Key or Authorization: Bearer.",
                "该接口需要鉴权：请携带 X-API-Key 或 Authorization: Bearer。",
            ),
            Self::MalformedCredentials => pair(
                "The credentials cannot be read: send one X-API-Key, or one Authorization: Bearer, and not both.",
                "无法识别凭证：请只携带一个 X-API-Key，或一个 Authorization: Bearer，不能两者都带。",
            ),
            Self::BadCredentials => {
                pair("The credentials are not valid or have expired.", "凭证无效或已过期。")
            }
            Self::NotGranted => {
                pair("The caller has no grant for this interface.", "调用方没有该接口的权限。")
            }
            Self::DataNotGranted => pair(
                "The caller has no grant for all the data that the interface reads.",
                "调用方没有该接口所读数据的全部权限。",
            ),
            Self::MissingClaim(claim) => (
                format!("The caller has no claim `{claim}`, which the interface needs."),
                format!("调用方缺少该接口所需的声明 `{claim}`。"),
            ),
            Self::RateLimited(seconds) => (
                format!("Too many calls; try again in {seconds} s."),
                format!("请求过于频繁，请在 {seconds} 秒后重试。"),
            ),
            Self::TooManyFailures(seconds) => (
                format!("Too many calls with bad credentials; try again in {seconds} s."),
                format!("凭证错误次数过多，请在 {seconds} 秒后重试。"),
            ),
            Self::InvalidParameters => {
                pair("Parameters are not valid; see details.", "参数校验失败，详见 details。")
            }
            Self::UnfitValue => {
                pair("A parameter's value does not fit the query.", "参数值与查询不匹配。")
            }
            Self::RefusedByParameters => pair(
                "These parameters would make an unbounded query; give at least one that narrows it.",
                "这些参数会产生无条件查询，请至少提供一个筛选条件。",
            ),
            Self::MalformedRequest => pair(
                "The request needs one Host header, which must name the host of its target, and no expectation but 100-continue.",
                "请求必须有且只有一个 Host 头，且与目标地址的主机一致；Expect 只支持 100-continue。",
            ),
            Self::MalformedQuery => pair(
                "The address is not valid percent-encoded UTF-8.",
                "请求地址不是合法的 UTF-8 百分号编码。",
            ),
            Self::TooManyParameters => pair("There are too many parameters.", "参数过多。"),
            Self::MalformedJson => {
                pair("The body is not a JSON object.", "请求体不是合法的 JSON 对象。")
            }
            Self::TooDeep => pair("The body nests too deep.", "请求体嵌套过深。"),
            Self::BodyTooLarge(limit) => (
                format!("The body is larger than {limit} bytes."),
                format!("请求体超过 {limit} 字节。"),
            ),
            Self::BodyTimeout => {
                pair("The body did not arrive in time.", "请求体未在限定时间内到达。")
            }
            Self::UnsupportedMedia => pair(
                "The body must be application/json, not compressed.",
                "请求体必须是未压缩的 application/json。",
            ),
            Self::HeadersTooLarge => pair("The request's headers are too large.", "请求头过大。"),
            Self::UnknownFormat => pair(
                "`format` is one of json, csv, ndjson and xlsx.",
                "`format` 只能是 json、csv、ndjson 或 xlsx。",
            ),
            Self::DatasourceFailed => {
                pair("The datasource could not answer the query.", "数据源无法完成查询。")
            }
            Self::DatasourceBusy => {
                pair("The datasource is busy; try again later.", "数据源繁忙，请稍后重试。")
            }
            Self::Timeout => {
                pair("The query did not end in time and was cancelled.", "查询超时，已取消。")
            }
            Self::SchemaMismatch => pair(
                "The answer does not fit the interface's definition.",
                "响应数据不符合接口定义。",
            ),
            Self::Internal => pair("Something went wrong inside the gateway.", "网关内部错误。"),
            Self::Draining => pair("The gateway is shutting down.", "网关正在关闭。"),
            Self::Overloaded => pair(
                "The gateway has too many calls to answer; try again later.",
                "网关请求过多，请稍后重试。",
            ),
        }
    }
}

/// What is wrong with a parameter, in words.
pub fn fault(name: &str, fault: &Fault, language: Language) -> String {
    let (en, zh) = match fault {
        Fault::Required => (format!("Parameter {name} is required."), format!("参数 {name} 必填")),
        Fault::Type(kind) => {
            let (en, zh) = type_words(*kind);
            (format!("Parameter {name} must be {en}."), format!("参数 {name} 必须为{zh}"))
        }
        Fault::Format(format) => (
            format!("Parameter {name} must have the format {format}."),
            format!("参数 {name} 必须为 {format} 格式"),
        ),
        Fault::Enum(allowed) => {
            let allowed = allowed.join(", ");
            (
                format!("Parameter {name} must be one of {allowed}."),
                format!("参数 {name} 只能是 {allowed} 之一"),
            )
        }
        Fault::MaxLength(most) => (
            format!("Parameter {name} must be at most {most} characters long."),
            format!("参数 {name} 最多 {most} 个字符"),
        ),
        Fault::MinLength(least) => (
            format!("Parameter {name} must be at least {least} characters long."),
            format!("参数 {name} 至少 {least} 个字符"),
        ),
        Fault::MaxItems(most) => (
            format!("Parameter {name} takes at most {most} items."),
            format!("参数 {name} 最多 {most} 项"),
        ),
        Fault::MinItems(least) => (
            format!("Parameter {name} needs at least {least} items."),
            format!("参数 {name} 至少 {least} 项"),
        ),
        Fault::Maximum(most) => (
            format!("Parameter {name} must be at most {most}."),
            format!("参数 {name} 不能大于 {most}"),
        ),
        Fault::Minimum(least) => (
            format!("Parameter {name} must be at least {least}."),
            format!("参数 {name} 不能小于 {least}"),
        ),
        Fault::Pattern(pattern) => (
            format!("Parameter {name} must match {pattern}."),
            format!("参数 {name} 必须匹配 {pattern}"),
        ),
        Fault::Unknown => (format!("There is no parameter {name}."), format!("没有参数 {name}")),
        Fault::Repeated => {
            (format!("Parameter {name} stands more than once."), format!("参数 {name} 重复"))
        }
        Fault::Unfit => (
            format!("The value of {name} does not fit the query."),
            format!("参数 {name} 的值与查询不匹配"),
        ),
    };
    match language {
        Language::En => en,
        Language::Zh => zh,
    }
}

fn type_words(kind: ParamType) -> (&'static str, &'static str) {
    match kind {
        ParamType::String => ("text", "文本"),
        ParamType::Number => ("a number", "数字"),
        ParamType::Integer => ("a whole number", "整数"),
        ParamType::Boolean => ("true or false", "布尔值 true 或 false"),
        ParamType::Date => ("a date", "日期"),
        ParamType::Datetime => ("a date and time", "日期时间"),
        ParamType::Array => ("a list", "数组"),
        ParamType::Object => ("a JSON object", " JSON 对象"),
    }
}
