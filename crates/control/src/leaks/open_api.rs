//! OpenAPI pieces of the receivers.

use super::Receiver;

/// Returns the operation object of a receiver, as JSON text.
pub(crate) const fn open_api(receiver: Receiver) -> &'static str {
    match receiver {
        Receiver::GitHub => GITHUB,
        Receiver::GitLabTypes => GITLAB_TYPES,
        Receiver::GitLabTokens => GITLAB_TOKENS,
        Receiver::Public => PUBLIC,
        Receiver::Rules => RULES,
    }
}

const GITHUB: &str = r##"{
  "operationId": "reportGithubLeaks",
  "tags": ["Leaks"],
  "summary": "Receives GitHub's secret scanning reports",
  "description": "Only with GitHub's signature of the body. Every key of this deployment in the report is revoked before the answer.",
  "security": [],
  "parameters": [
    {
      "name": "Github-Public-Key-Identifier",
      "in": "header",
      "required": true,
      "description": "Identifier of the key of the signature",
      "schema": {"type": "string"}
    },
    {
      "name": "Github-Public-Key-Signature",
      "in": "header",
      "required": true,
      "description": "ECDSA P-256 signature of the body, DER in base64",
      "schema": {"type": "string"}
    }
  ],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GithubReport"}}}
  },
  "responses": {
    "200": {
      "description": "What this deployment minted, active or not, is a `true_positive`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GithubLabels"}}}
    },
    "400": {
      "description": "The body is no JSON list: `invalid_request`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["invalid_request", "bad_path", "key_in_url", "insecure_transport"]}}}
        }
      }
    },
    "401": {
      "description": "The signature is missing or wrong, or GitHub's list does not have its key: `invalid_signature`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["invalid_signature"]}}}
        }
      }
    },
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "503": {
      "description": "GitHub's list of keys or the authority is not available: `authority_unavailable`. Send the report again. If only the list is missing, the report may also be kept and judged later",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Retry-After": {"$ref": "#/components/headers/RetryAfter"}
      },
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["authority_unavailable"]}}}
        }
      }
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

const GITLAB_TYPES: &str = r##"{
  "operationId": "gitlabTokenTypes",
  "tags": ["Leaks"],
  "summary": "Answers GitLab which tokens can be revoked here",
  "description": "Absent while `LEAK_GITLAB_TOKEN` is not set.",
  "security": [],
  "parameters": [
    {
      "name": "Authorization",
      "in": "header",
      "required": true,
      "description": "The value of `LEAK_GITLAB_TOKEN`, without a scheme",
      "schema": {"type": "string"}
    }
  ],
  "responses": {
    "200": {
      "description": "The types",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GitlabTypes"}}}
    },
    "400": {
      "description": "The request is invalid",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["invalid_request", "bad_path", "key_in_url", "insecure_transport", "unexpected_body"]}}}
        }
      }
    },
    "401": {
      "description": "`Authorization` is missing or wrong: `missing_key`, `invalid_key`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["missing_key", "invalid_key"]}}}
        }
      }
    },
    "404": {"$ref": "#/components/responses/NotFound"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

const GITLAB_TOKENS: &str = r##"{
  "operationId": "gitlabRevokeTokens",
  "tags": ["Leaks"],
  "summary": "Receives GitLab's secret detection reports",
  "description": "Absent while `LEAK_GITLAB_TOKEN` is not set. Every key of this deployment in the report is revoked before the answer.",
  "security": [],
  "parameters": [
    {
      "name": "Authorization",
      "in": "header",
      "required": true,
      "description": "The value of `LEAK_GITLAB_TOKEN`, without a scheme",
      "schema": {"type": "string"}
    }
  ],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GitlabReport"}}}
  },
  "responses": {
    "204": {
      "description": "The keys of this deployment are revoked",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    },
    "400": {
      "description": "The body is no JSON list: `invalid_request`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["invalid_request", "bad_path", "key_in_url", "insecure_transport"]}}}
        }
      }
    },
    "401": {
      "description": "`Authorization` is missing or wrong: `missing_key`, `invalid_key`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["missing_key", "invalid_key"]}}}
        }
      }
    },
    "404": {"$ref": "#/components/responses/NotFound"},
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

const PUBLIC: &str = r##"{
  "operationId": "reportLeaks",
  "tags": ["Leaks"],
  "summary": "Receives keys that anyone found",
  "description": "The answer is the same for every text. Keys of this deployment are revoked right after it.",
  "security": [],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReportLeaks"}}}
  },
  "responses": {
    "202": {
      "description": "The report is accepted, whatever it contains",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LeakAccepted"}}}
    },
    "400": {
      "description": "The body is invalid; `field` names the part: `invalid_request`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["invalid_request", "bad_path", "key_in_url", "insecure_transport"]}}}
        }
      }
    },
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "429": {
      "description": "More than 20 reports a minute from this address: `rate_limited`",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Retry-After": {"$ref": "#/components/headers/RetryAfter"}
      },
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["rate_limited"]}}}
        }
      }
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

const RULES: &str = r##"{
  "operationId": "leakRules",
  "tags": ["Leaks"],
  "summary": "Expressions that find the keys of this deployment",
  "description": "For scanners. The expressions depend only on the prefix, which is no secret.",
  "security": [],
  "responses": {
    "200": {
      "description": "The expressions",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LeakRules"}}}
    },
    "400": {
      "description": "The request is invalid",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": ["invalid_request", "bad_path", "key_in_url", "insecure_transport", "unexpected_body"]}}}
        }
      }
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
