"""Grafana: who gets in and how, what it keeps, what it shows beside our dashboards."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from settings.base import Model, Quantity, Resources, SecretKey, Url

Group = Annotated[str, Field(pattern=r"^[^'\"`\\$]+$")]


class OidcSettings(Model):
    """Login at an OpenID Connect provider. Its redirect URI is `<externalUrl>/login/generic_oauth`."""

    name: str = "single sign-on"
    """Word on the login button."""
    client_id: str
    client_secret_secret: SecretKey
    auth_url: Url
    token_url: Url
    api_url: Url
    """The provider's userinfo endpoint."""
    scopes: list[str] = ["openid", "profile", "email", "groups"]
    admin_groups: list[Group] = []
    """Groups, of the claim `groups`, whose members may change everything."""
    editor_groups: list[Group] = []
    """Groups whose members may make dashboards of their own."""
    viewer_groups: list[Group] | None = None
    """Groups whose members may look; by default everybody whom the provider knows. Others are refused."""

    def role(self) -> str:
        """JMESPath that gives the role of a person, or nothing for somebody who may not come in."""
        roles = (("Admin", self.admin_groups), ("Editor", self.editor_groups), ("Viewer", self.viewer_groups or []))
        # A provider may leave the claim out; `contains` of nothing would be an error, and nobody would come in.
        parts = [f"groups && contains(groups[*], '{group}') && '{role}'" for role, groups in roles for group in groups]
        return " || ".join(parts + (["'Viewer'"] if self.viewer_groups is None else []))


class GrafanaSettings(Model):
    """`observability:grafana`."""

    enabled: bool = True
    external_url: Url | None = None
    """Where people reach Grafana; links in messages lead there."""
    oidc: OidcSettings | None = None
    """Without it, only the admin of the Secret `grafana-admin` can log in. Nobody gets in without a login."""
    login_form: bool = True
    """The form for name and password, which the admin needs where the provider is down."""
    embedding: bool = False
    """Whether other sites may show Grafana in a frame."""
    plugins: list[str] = []
    """Plugins to install at start, as `name` or `name@version`; none is installed otherwise. With them Grafana brings
    what its image lacks of those that it preinstalls by itself."""
    volume_size: Quantity | None = None
    """Size of a volume for Grafana's own database. By default none: dashboards and data sources come from this program,
    and a restart forgets only sessions, stars and what people made by hand."""
    storage_class: str | None = None
    default_dashboards: bool = False
    """The 22 Kubernetes dashboards of the chart beside ours. They are not proven here and make a third of the state."""
    resources: Resources = Resources(cpu="100m", memory="256Mi", memory_limit="512Mi")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.oidc and not self.external_url:
            raise ValueError("oidc is set, so externalUrl must be too: the provider sends people back there")
        if not self.login_form and not self.oidc:
            raise ValueError("loginForm is off and there is no oidc: nobody could log in; set one of them")
        if self.storage_class and not self.volume_size:
            raise ValueError("storageClass is set without volumeSize; Grafana keeps no volume by default")
        return self
