// Millstream on Azure: a Functions app on the Flex Consumption plan, one storage account, and a job for containers.
// `azd up`, or infra/deploy.sh. Nothing here, and nothing that it makes, holds or shows a storage key.
targetScope = 'subscription'

@description('Name of this installation. Lower-case letters, digits and dashes.')
@minLength(2)
@maxLength(24)
param environmentName string

@description('Azure region of all resources; one that has Flex Consumption.')
param location string

@description('Object id of the person or pipeline that deploys: may put the package in its container. Empty: nobody.')
param principalId string = ''

@description('What principalId is.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param principalType string = 'User'

@description('Client id of the app registration whose tokens the service takes. Empty: only tokenSha256 and functionsKeyRole open it.')
param audience string = ''

@description('sha256 sums, in hex, of bearer tokens that are accepted beside those of Entra ID; separated by commas.')
param tokenSha256 string = ''

@description('Role of callers with a key of the Functions app, without which then nobody is let in. Empty: keys open nothing.')
@allowed([
  ''
  'Reader'
  'Submitter'
  'Operator'
  'Owner'
])
param functionsKeyRole string = ''

@description('No public network: storage, vault and registry are reached through private endpoints only.')
param private bool = false

@description('Container jobs beside the function: an environment, a registry and one job for each compute.')
param containers bool = true

@description('Container computes, each with a queue and a job of its own.')
param computes array = [
  {
    name: 'cpu-cluster'
    cpu: '1.0'
    memory: '2Gi'
    maxExecutions: 8
    timeoutSeconds: 86400
  }
]

@description('Image of the worker, when it has been pushed. Empty: a placeholder, which the deployment of the worker replaces.')
param workerImage string = ''

@description('Make the signing keys in the vault. Only at the first deployment: made again, they end all that was signed or sealed with them.')
param createKeys bool = true

@description('Take back the vault of an installation of this name that was deleted some days ago.')
param recoverVault bool = false

@description('Memory of a Functions instance, in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemory int = 2048

@description('The most Functions instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Folders of the default datastore whose new blobs are told by Event Grid; separated by commas.')
param watchedFolders string = 'incoming'

@description('Days that logs are kept, and outputs that no run names any more.')
@minValue(30)
@maxValue(730)
param retentionDays int = 30

@description('Who gets alerts by mail. Empty: nobody, and no alert is made.')
param alertMail string = ''

@description('Money a month after which the budget warns, in the currency of the subscription. 0: no budget.')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the month from which the budget counts.')
param budgetStart string = utcNow('yyyy-MM-01')

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
  application: 'millstream'
}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module service 'service.bicep' = {
  name: 'millstream'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    environmentName: environmentName
    principalId: principalId
    principalType: principalType
    audience: audience
    tokenSha256: tokenSha256
    functionsKeyRole: functionsKeyRole
    private: private
    containers: containers
    computes: computes
    workerImage: workerImage
    createKeys: createKeys
    recoverVault: recoverVault
    instanceMemory: instanceMemory
    maximumInstances: maximumInstances
    watchedFolders: watchedFolders
    retentionDays: retentionDays
    alertMail: alertMail
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0 && !empty(alertMail)) {
  name: 'budget'
  scope: group
  params: {
    name: 'millstream-${environmentName}'
    amount: monthlyBudget
    start: budgetStart
    mail: alertMail
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output MILLSTREAM_URL string = service.outputs.url
output MILLSTREAM_APP string = service.outputs.appName
output MILLSTREAM_STORAGE string = service.outputs.storageName
output MILLSTREAM_EVENTS_TOPIC string = service.outputs.topicName
output MILLSTREAM_DATA_CONTAINER string = service.outputs.dataContainer
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = service.outputs.registryEndpoint
