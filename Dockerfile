# One member of a cluster. Three stages: one compiles, one gathers the packages that run, the last has neither compiler
# nor cache. No container engine is needed to try its steps: a test runs them in a scratch folder.
# Every RUN stays within its WORKDIR, so that this holds.

FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY protocol/package.json protocol/
COPY server/package.json server/
COPY server/bin server/bin
COPY client/package.json client/
# The workspaces alone: what they need to run and to be compiled, and none of what tests them.
RUN npm ci --workspaces --include-workspace-root=false --ignore-scripts --no-audit --no-fund
COPY tsconfig.base.json ./
COPY protocol protocol
COPY server server
COPY client client
RUN npx --no-install tsc -b server
RUN mkdir data

FROM node:20-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY protocol/package.json protocol/
COPY server/package.json server/
COPY server/bin server/bin
COPY client/package.json client/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app ./
COPY --from=build /app/protocol/dist protocol/dist
COPY --from=build /app/server/dist server/dist
COPY --from=build /app/client/dist client/dist
COPY LICENSE ./
COPY --from=build --chown=node:node /app/data /data
USER node
VOLUME /data
EXPOSE 7420 7421
# Access tokens and TLS are not built yet, hence --insecure: publish the port to networks that you trust, and to no other.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7420/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=64", "--v8-pool-size=1", "server/bin/leasehold.mjs"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:7420", "--insecure"]
