"""Cloudflare tunnel: pages of the stack for people outside, without an open port."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.base import Model, Resources, SecretKey
from settings.exporters import JobName

Page = Literal["grafana", "prometheus", "alertmanager"]


class CloudflareTunnelSettings(Model):
    """`observability:cloudflareTunnel`."""

    mode: Literal["deploy", "existing", "off"] = "off"
    """`deploy`: we run it. `existing`: one is there already, and scraped as the job `job`."""
    job: JobName | None = None
    """With `existing`: the `job` label of its series."""
    token_secret: SecretKey | None = None
    """With `deploy`: the tunnel's token. Which host name leads to which page is set at Cloudflare."""
    replicas: Annotated[int, Field(ge=1, le=10)] = 2
    opens: Annotated[list[Page], Field(min_length=1)] = ["grafana"]
    """Pages that the tunnel may reach. Only Grafana asks for a login of its own."""
    resources: Resources = Resources(cpu="20m", memory="64Mi", memory_limit="256Mi")

    @model_validator(mode="after")
    def _fits_the_mode(self) -> Self:
        if (self.mode == "existing") != (self.job is not None):
            raise ValueError("job names a tunnel that is there already: give it with mode existing, and only there")
        if (self.mode == "deploy") != (self.token_secret is not None):
            raise ValueError("tokenSecret belongs to mode deploy: give it there, and only there")
        return self
