// Keys that sign and seal, made by who deploys, and the secrets of datastores, which the app keeps and removes. Workers
// read; nobody but the app and who deploys writes.
param location string
param tags object
param token string
param private bool
param createKeys bool
param recoverVault bool
param appPrincipal string
param workerPrincipal string

@secure()
param runTokenSeed string = newGuid()
@secure()
param webhookSeed string = newGuid()
@secure()
param secretSeed string = newGuid()

var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: 'kv-${token}'
  location: location
  tags: tags
  properties: {
    createMode: recoverVault ? 'recover' : 'default'
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: private ? 'Deny' : 'Allow'
    }
  }
}

resource runTokenKey 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (createKeys) {
  parent: vault
  name: 'run-token-key'
  properties: {
    value: '${runTokenSeed}${uniqueString(runTokenSeed)}'
  }
}

resource webhookKey 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (createKeys) {
  parent: vault
  name: 'webhook-key'
  properties: {
    value: '${webhookSeed}${uniqueString(webhookSeed)}'
  }
}

// 32 bytes: a GUID without its dashes has as many characters.
resource secretKey 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (createKeys) {
  parent: vault
  name: 'secret-key'
  properties: {
    value: base64(replace(secretSeed, '-', ''))
  }
}

resource appRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, appPrincipal, secretsOfficer)
  scope: vault
  properties: {
    principalId: appPrincipal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
  }
}

resource workerRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, workerPrincipal, secretsUser)
  scope: vault
  properties: {
    principalId: workerPrincipal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

output id string = vault.id
output uri string = vault.properties.vaultUri
