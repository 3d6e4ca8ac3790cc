"""Values that the chart is drawn with in tests."""

ALL_VALUES = (
    *("image.pullSecrets={ours}", "passphrase.secretName=secret", "storage.className=fast"),
    *("service.type=LoadBalancer", "service.annotations.a=b", "nodeSelector.disk=ssd", "tolerations[0].key=only"),
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution=null",
    *("extraContainers[0].name=scraper", "extraContainers[0].image=scraper:1"),
)
SETTINGS = {"limits.device_events_per_day": 12_000_000, "broker.tls_minimum": "1.3"}
NETWORK = ("networkPolicy.from[0].podSelector.matchLabels.app=ingress", "networkPolicy.egress[0].ports[0].port=443")
POSTGRES = (
    "postgres.url=postgresql://healthsync@db.example/healthsync?sslmode=verify-full",
    "postgres.passwordSecretName=db",
)
EXTERNAL = ("mode=external", "external.host=mqtt.example")
LARGE = (
    *EXTERNAL, "external.bridges=3", "external.caConfigMap=ca", "external.access=hooks",
    "external.hookArguments={--emqx,http://127.0.0.1:18083}",
)  # fmt: skip
SHARED = (
    *EXTERNAL, *POSTGRES, "external.bridges=3", "secrets.credentials=credentials", "secrets.certs=certs",
    "secrets.keys=keys",
)  # fmt: skip
GATEWAYS = (*SHARED, *NETWORK, "gateway.enabled=true", "gateway.replicas=2", "passphrase.secretName=secret")
DIVIDED = (
    *EXTERNAL, *POSTGRES, *ALL_VALUES, *NETWORK, "external.bridges=4", "external.divide=users", "external.access=hooks",
    "external.caConfigMap=ca", "secrets.credentials=credentials", "storage.bridgeSize=", "postgres.caConfigMap=theirs",
    "extraPorts[0].name=hooks", "extraPorts[0].port=8871", "networkPolicy.databaseEgress[0].ports[0].port=5432",
)  # fmt: skip
