//! One operation of the description.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, Header, Object, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::Type,
        security::SecurityRequirement,
    },
};

use crate::{forward::Problem, schemas};

/// Name of the operator's token among the security schemes.
pub(super) const OPERATOR: &str = "operator";

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Named schemas, which operations refer to.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// An operation while it is described.
pub(super) struct Operation {
    pub(super) inner: OperationBuilder,
    pub(super) schemas: Schemas,
}

impl Operation {
    /// Begins with what is common: a request that names no host gets a problem.
    pub(super) fn new(id: &str, tag: &str, summary: &str) -> Self {
        let inner = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        Self { inner, schemas: Vec::new() }.problem(400, "The request is malformed.")
    }

    pub(super) fn description(mut self, description: &str) -> Self {
        self.inner = self.inner.description(Some(description));
        self
    }

    /// Adds a segment of the path.
    pub(super) fn segment(mut self, name: &str, schema: RefOr<Schema>, description: &str) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(schema));
        self.inner = self.inner.parameter(parameter);
        self
    }

    /// Adds the segment that names the tenant.
    pub(super) fn tenant(self) -> Self {
        let schema = self.schema::<schemas::TenantId>();
        schema.0.segment("ctx", schema.1, "The tenant's ContextIdentifier.")
    }

    /// Adds the parameters of the query.
    pub(super) fn query(mut self, parameters: Vec<Parameter>) -> Self {
        for parameter in parameters {
            self.inner = self.inner.parameter(parameter);
        }
        self
    }

    /// Adds a body of JSON.
    pub(super) fn body<T: ToSchema>(mut self, required: Required, description: &str) -> Self {
        let schema;
        (self, schema) = self.schema::<T>();
        let body = RequestBodyBuilder::new()
            .description(Some(description))
            .required(Some(required))
            .content(JSON, Content::new(Some(schema)));
        self.inner = self.inner.request_body(Some(body.build()));
        self
    }

    /// Adds a body of any kind.
    pub(super) fn any_body(mut self) -> Self {
        let body = RequestBodyBuilder::new().content("*/*", Content::new(None::<Ref>));
        self.inner = self.inner.request_body(Some(body.build()));
        self
    }

    /// Demands the operator's token.
    pub(super) fn operator(mut self) -> Self {
        let no_scopes: [&str; 0] = [];
        self.inner = self.inner.security(SecurityRequirement::new(OPERATOR, no_scopes));
        self
    }

    /// Adds an answer in JSON.
    pub(super) fn json<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let schema;
        (self, schema) = self.schema::<T>();
        self.content(status, JSON, schema, description)
    }

    /// Adds an answer with a JSON array.
    pub(super) fn array<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let schema;
        (self, schema) = self.schema::<T>();
        let array = utoipa::openapi::schema::Array::new(schema);
        self.content(status, JSON, Schema::Array(array).into(), description)
    }

    /// Adds an answer in another kind of text.
    pub(super) fn text(self, status: u16, kind: &str, description: &str) -> Self {
        self.content(status, kind, Object::with_type(Type::String).into(), description)
    }

    /// Adds an answer that is a problem.
    pub(super) fn problem(mut self, status: u16, description: &str) -> Self {
        let schema;
        (self, schema) = self.schema::<Problem<'_>>();
        self.content(status, PROBLEM, schema, description)
    }

    /// Adds a problem that may be gone later, after the time in `Retry-After` where there is one.
    pub(super) fn problem_for_now(mut self, status: u16, description: &str) -> Self {
        let schema;
        (self, schema) = self.schema::<Problem<'_>>();
        let response = ResponseBuilder::new()
            .description(description)
            .content(PROBLEM, Content::new(Some(schema)))
            .header("Retry-After", seconds("Seconds after which to try again."));
        self.response(&status.to_string(), response.build())
    }

    /// Adds the two problems of a closed tenant.
    pub(super) fn closed(self) -> Self {
        self.problem_for_now(503, "The tenant is closed.").problem(410, "The tenant is deleted.")
    }

    /// Adds an answer without content.
    pub(super) fn empty(self, status: u16, description: &str) -> Self {
        self.response(&status.to_string(), Response::new(description))
    }

    /// Adds an answer, or replaces the one with its status.
    pub(super) fn response(mut self, status: &str, response: Response) -> Self {
        self.inner = self.inner.response(status, response);
        self
    }

    /// Adds a schema that the description names, without an answer that is made of it.
    pub(super) fn mentions<T: ToSchema>(self) -> Self {
        self.schema::<T>().0
    }

    fn content(self, status: u16, kind: &str, schema: RefOr<Schema>, description: &str) -> Self {
        let response = ResponseBuilder::new()
            .description(description)
            .content(kind, Content::new(Some(schema)));
        self.response(&status.to_string(), response.build())
    }

    /// Names the schema of `T`, and all below it; returns a reference to it.
    fn schema<T: ToSchema>(mut self) -> (Self, RefOr<Schema>) {
        self.schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
        T::schemas(&mut self.schemas);
        (self, Ref::from_schema_name(T::name()).into())
    }
}

/// A header that counts seconds.
pub(super) fn seconds(description: &str) -> Header {
    header(Type::Integer, description)
}

pub(super) fn header(kind: Type, description: &str) -> Header {
    let mut header = Header::new(Object::with_type(kind));
    header.description = Some(description.to_owned());
    header
}
