// The Functions app: Flex Consumption, Python 3.13. It reaches everything by its own identity.
param location string
param tags object
param token string
param environmentName string
param private bool
param subnetId string
param identityId string
param identityClientId string
param storageName string
param packageUrl string
param vaultUri string
param insightsConnection string
param audience string
param tokenSha256 string
param functionsKeyRole string
param computes array
param watchedFolders string
param dataContainer string
param datastores string
param instanceMemory int
param maximumInstances int

var watched = join(map(split(watchedFolders, ','), folder => '${dataContainer}/${trim(folder)}'), ',')
var functionComputes = [
  {
    name: 'function'
    is: {
      kind: 'function'
    }
  }
]
// What the engine checks time limits against, and how many it starts: the sizes of the jobs.
var containerComputes = map(computes, compute => {
  name: compute.name
  is: {
    kind: 'container'
    most: compute.maxExecutions
    timeout_seconds: compute.timeoutSeconds
  }
})
var sizes = toObject(concat(functionComputes, containerComputes), compute => compute.name, compute => compute.is)

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: 'func-${token}'
  location: location
  tags: union(tags, {
    'azd-service-name': 'service'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: private ? subnetId : null
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
      }
    }
    siteConfig: {
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    MILLSTREAM_LOG_FORM: 'json'
    MILLSTREAM_WORKSPACE: environmentName
    MILLSTREAM_INSTANCE_MEMORY_MB: string(instanceMemory)
    MILLSTREAM_SUBSCRIPTION_ID: subscription().subscriptionId
    MILLSTREAM_RESOURCE_GROUP: resourceGroup().name
    MILLSTREAM_DATASTORES: datastores
    MILLSTREAM_COMPUTES: string(sizes)
    MILLSTREAM_EXECUTIONS: empty(computes) ? 'none' : 'container-apps'
    MILLSTREAM_BLOB_EVENTS: 'eventgrid'
    MILLSTREAM_BLOB_EVENTS_IN: watched
    MILLSTREAM_ENTRA_TENANT: subscription().tenantId
    MILLSTREAM_ENTRA_AUDIENCE: audience
    MILLSTREAM_TOKEN_SHA256: tokenSha256
    MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS: functionsKeyRole
    MILLSTREAM_RUN_TOKEN_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/run-token-key)'
    MILLSTREAM_WEBHOOK_KEYS: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/webhook-key)'
    MILLSTREAM_VAULT: vaultUri
    MILLSTREAM_SECRET_KEYS: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/secret-key)'
  }
}

// Deployment is by identity: the passwords of the publishing sites stay off.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

output name string = app.name
output hostname string = app.properties.defaultHostName
