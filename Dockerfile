# One container, one command. Build: docker build -t troupe .  Run: docker run --stop-timeout 30 -v troupe:/app/.troupe troupe
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-slim
WORKDIR /app
# Where troupe.js would put the cache too, but for that it would have to start itself anew.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.troupe/cache
COPY --from=dependencies /app/node_modules node_modules
COPY package.json troupe.js LICENSE ./
# In supabase/embedded lies an initialised database, so that the first start unpacks one and needs no initdb with its 1.1 GB.
COPY supabase supabase
COPY src src
COPY config config
COPY actors actors
# The only place that is written to: mount a volume here, or the embedded database ends with the container. There is no VOLUME,
# because Railway refuses to build with one; a named volume takes this folder's owner over.
RUN install -d -o node -g node -m 700 .troupe
USER node
EXPOSE 8080
# There is no curl in this image. Start and health of a deployment are /ready's to tell; this one is for restarts.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# No shell and no npm in between: signals arrive, and the exit code is Troupe's.
CMD ["node", "troupe.js", "start"]
