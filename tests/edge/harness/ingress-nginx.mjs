// What the controller ingress-nginx makes of examples/ingress-nginx/ingress.yaml: the directives of its template that concern a request
// with `auth-url` (rootfs/etc/nginx/template/nginx.tmpl, March 2026), for nginx itself.

/** The annotations of the controller, by their names after the slash. */
function annotations(yaml) {
  const found = yaml.matchAll(/nginx\.ingress\.kubernetes\.io\/([a-z-]+): "((?:[^"\\]|\\\n)*)"/g);
  // A backslash at the end of a line joins it to the next.
  return Object.fromEntries([...found].map(([, name, value]) => [name, value.replaceAll(/\\\n\s*/g, "")]));
}

/** The ConfigMap's entries. */
function headers(yaml) {
  const data = /\ndata:\n((?: {2}.*\n)+)/.exec(yaml)[1];
  return [...data.matchAll(/^ {2}([A-Za-z-]+): "(.*)"$/gm)].map(([, name, value]) => [name, value]);
}

/** The `server` for the example. `api` and `listen` are addresses. */
export function rendered(yaml, { listen, api }) {
  const { "auth-url": authUrl, "auth-response-headers": copied, "proxy-buffer-size": buffer } = annotations(yaml);
  const copies = copied.split(",").map((name, at) => {
    const variable = name.trim().toLowerCase().replaceAll("-", "_");
    return `auth_request_set $authHeader${at} $upstream_http_${variable};\nproxy_set_header '${name.trim()}' $authHeader${at};`;
  });
  const asked = headers(yaml).map(([name, value]) => `proxy_set_header "${name}" "${value}";`);
  return `
map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
server {
  listen ${listen};
  location = /_external-auth {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header X-Forwarded-Proto "";
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Host ${new URL(authUrl).host};
    proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Sent-From "nginx-ingress-controller";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Auth-Request-Redirect $request_uri;
    proxy_buffering off;
    proxy_buffer_size ${buffer};
    proxy_buffers 4 ${buffer};
    ${asked.join("\n    ")}
    proxy_http_version 1.1;
    set $target "${authUrl}";
    proxy_pass $target;
  }
  location / {
    auth_request /_external-auth;
    ${copies.join("\n    ")}
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Scheme $scheme;
    proxy_set_header X-Scheme $scheme;
    proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
    proxy_set_header Proxy "";
    proxy_http_version 1.1;
    proxy_pass http://${api};
  }
}
`;
}
